// Full text of problems and completions, block by block, so that the first finds are there before the last.
const STEP = 50; // Finds shown at a time.
const CONTEXT = 70; // Characters shown to either side of a find.
const WAIT_MS = 200; // After a keystroke.
let search = 0, hits = [], wanted = STEP, sought = null, timer = 0;

function filter() {
  const run = $("by-run").value, verdict = $("by-verdict").value, end = $("by-end").value;
  return (generation) => (run === "" || generation.run === Number(run))
    && (verdict === "" || String(generation.correct) === verdict)
    && (end === "" || (end === "length" ? generation.finish === "length" : generation.unclosed > 0));
}

async function find() {
  const request = ++search;
  const query = $("query").value.trim();
  const passes = filter();
  hits = [];
  sought = null;
  wanted = STEP;
  $("hits").replaceChildren();
  const candidates = generations.filter(passes);
  if (!query) {
    if (candidates.length < generations.length) hits = candidates.map((generation) => ({ generation }));
    return report(hits.length ? "" : "Type a word, or choose a filter.");
  }
  const words = query.split(/\s+/).map((word) => word.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"));
  sought = new RegExp(words.join("\\s+"), "iu");
  const inProblem = problems.map(([, text]) => excerpt(text));
  let drawn = performance.now();
  for (const generation of candidates) {
    const text = (await block(generation.block))[generation.place][0];
    if (request !== search) return;
    const words = excerpt(text) ?? inProblem[generation.problem];
    if (words) hits.push({ generation, words });
    if (performance.now() - drawn > 100) {
      report("searching …");
      await new Promise((resolve) => setTimeout(resolve));
      drawn = performance.now();
    }
  }
  report("");
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
  const of = `${count(hits.length)} of ${count(generations.length)} traces`;
  $("found").textContent = hits.length || sought ? `${of}${state && `, ${state}`}` : `${count(generations.length)} traces. ${state}`;
}

function item({ generation, words }, number) {
  const about = `${problems[generation.problem][0]} by ${labels[generation.run]}, sample ${generation.sample + 1}: `
    + VERDICTS.get(generation.correct) + (generation.tokens === null ? "" : `, ${count(generation.tokens)} tokens`);
  const button = element("button", { type: "button" }, about);
  if (words) button.append(element("q", {}, words[0], element("b", {}, words[1]), words[2]));
  button.addEventListener("click", () => open(hits.map((hit) => hit.generation), number, sought));
  return element("li", {}, button);
}

function later() {
  clearTimeout(timer);
  timer = setTimeout(find, WAIT_MS);
}

$("query").addEventListener("input", later);
for (const id of ["by-run", "by-verdict", "by-end"]) $(id).addEventListener("change", find);
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
  if (event.target.matches("input[type=search], select")) return;
  event.preventDefault();
  viewer.close();
  $("query").focus({ preventScroll: true });
  $("search").scrollIntoView();
  $("query").select();
});
document.documentElement.dataset.ready = "";
openAddressed();
