// Full text of problems and all below them, block by block, so that the first finds are there before the last.
const STEP = 50; // Finds shown at a time.
const CONTEXT = 70; // Characters shown to either side of a find.
const WAIT_MS = 200; // After a keystroke.
let search = 0, hits = [], wanted = STEP, sought = null, timer = 0;

function filter() {
  const choices = [...document.querySelectorAll("select.facet")].map((select) => select.value).filter(Boolean).map(Number);
  const over = $("share")?.value ? Number($("share").value) / 100 : null;
  return (view) => choices.every((choice) => view.choices.includes(choice))
    && (over === null || (view.share !== null && view.share > over));
}

// The views that pass the filters; those without a share stand last, whatever the order.
function candidates() {
  const order = Number($("order")?.value ?? 0), passing = views.filter(filter());
  if (!order) return passing;
  return passing.sort((a, b) => (a.share === null) - (b.share === null) || order * (a.share - b.share));
}

async function find() {
  const request = ++search;
  const query = $("query").value.trim();
  hits = [];
  sought = null;
  wanted = STEP;
  $("hits").replaceChildren();
  const among = candidates();
  if (!query) {
    hits = among.map((view) => ({ view }));
    return report("");
  }
  const words = query.split(/\s+/).map((word) => word.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"));
  sought = new RegExp(words.join("\\s+"), "iu");
  let drawn = performance.now();
  for (const view of among) {
    const words = await found(view);
    if (request !== search) return;
    if (words) hits.push({ view, words });
    if (performance.now() - drawn > 100) {
      report("searching …");
      await new Promise((resolve) => setTimeout(resolve));
      drawn = performance.now();
    }
  }
  report("");
}

async function found(view) {
  const entry = await entryOf(view);
  for (const text of [entry.text, ...entry.after.map(([, words]) => words), await problemOf(entry), names[view.name]]) {
    const words = excerpt(text);
    if (words) return words;
  }
  return null;
}

function excerpt(text) {
  const match = sought.exec(text);
  if (!match) return null;
  const start = match.index, end = start + match[0].length;
  return [text.slice(Math.max(0, start - CONTEXT), start), match[0], text.slice(end, end + CONTEXT)];
}

function report(state) {
  const drawn = $("hits").childElementCount;
  $("hits").append(...hits.slice(drawn, wanted).map((hit, number) => item(hit, drawn + number)));
  $("more").hidden = hits.length <= wanted;
  $("found").textContent = `${count(hits.length)} of ${count(views.length)} traces${state && `, ${state}`}`;
}

function item({ view, words }, number) {
  const several = cellOf(view.name, view.by).length > 1 ? `, sample ${view.sample + 1}` : "";
  const button = element("button", { type: "button" }, element("bdi", {}, titleOf(view)), `${several}: ${view.brief}`);
  if (words) button.append(element("q", {}, words[0], element("b", {}, words[1]), words[2]));
  button.addEventListener("click", () => open(hits.map((hit) => hit.view), number, sought));
  return element("li", {}, button);
}

function later() {
  clearTimeout(timer);
  timer = setTimeout(find, WAIT_MS);
}

$("query").addEventListener("input", later);
for (const control of document.querySelectorAll("#form select")) control.addEventListener("change", find);
$("share")?.addEventListener("input", later);
$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(timer);
  find();
});
$("more").addEventListener("click", () => {
  const next = $("hits").childElementCount;
  wanted += STEP;
  report("");
  $("hits").children[next]?.firstElementChild.focus();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input:not([type=checkbox]), select")) return;
  event.preventDefault();
  viewer.close();
  $("query").focus({ preventScroll: true });
  $("search").scrollIntoView();
  $("query").select();
});
if (!$("grid")) find(); // Where no grid lists the texts, the search does.
document.documentElement.dataset.ready = "";
openAddressed();
