// One text at a time, out of a list: a cell's, or what a search found.
const viewer = $("viewer");
const trace = $("trace");
const completion = $("completion");
let list = [], at = 0, shown = 0, marks = [], span = -1, pattern = null;

function open(views, position, found = null) {
  list = views;
  at = position;
  pattern = found;
  if (!viewer.open) viewer.showModal();
  return show();
}

async function show() {
  const view = list[at];
  const request = ++shown;
  const entry = await entryOf(view);
  const problem = await problemOf(entry);
  if (request !== shown) return; // The reader went on while this one was inflated.
  const samples = cellOf(view.name, view.by).length;
  $("viewer-title").textContent = samples > 1 ? `${titleOf(view)}, sample ${view.sample + 1} of ${samples}` : titleOf(view);
  $("position").textContent = `${count(at + 1)} of ${count(list.length)}: ${view.brief}`;
  $("previous").disabled = at === 0;
  $("next").disabled = at === list.length - 1;
  $("problem").textContent = problem;
  showOthers(view);
  showFacts(entry.facts);
  const parts = partsOf(entry);
  showText(entry, parts);
  showSegments(entry, parts);
  trace.scrollTop = 0;
  showHits();
  history.replaceState(null, "", addressOf(view));
}

// A text's own address, which others can be sent: its id, whose it is, and the sample.
function addressOf(view) {
  const parts = [names[view.name], bys[view.by][0], view.sample];
  return `#trace/${parts.map((part) => encodeURIComponent(`${part}`.toWellFormed())).join("/")}`;
}

function openAddressed() {
  if (!location.hash.startsWith("#trace/")) return;
  const view = views.find((view) => addressOf(view) === location.hash);
  if (!view) return;
  const cell = cellOf(view.name, view.by);
  open(cell, cell.indexOf(view));
}

function showOthers(view) {
  const buttons = bys.flatMap(([by], number) => {
    const cell = cellOf(view.name, number);
    if (!cell.length) return [];
    const right = cell.some((other) => other.correct !== null) ? ` ${cell.filter((other) => other.correct).length}/${cell.length}` : "";
    const button = element("button", { type: "button" }, `${by}${right}`);
    button.setAttribute("aria-current", String(number === view.by));
    button.addEventListener("click", async () => {
      const had = document.activeElement === button;
      await open(cell, Math.max(0, cell.findIndex((other) => other.sample === view.sample)), pattern);
      if (had) $("others").querySelector("[aria-current=true]").focus(); // Its successor: all are new.
    });
    return [button];
  });
  $("others").hidden = buttons.length < 2;
  $("others").replaceChildren(...buttons);
  $("others").querySelector("[aria-current=true]").scrollIntoView({ block: "nearest", inline: "nearest" });
}

function showFacts(facts) {
  $("facts").replaceChildren(...facts.map(([name, value]) =>
    element("div", {}, element("dt", {}, name), element("dd", { className: name }, value))));
}

function showText({ text, words: [heading, marked], after }, parts) {
  marks = [];
  span = -1;
  $("text-heading").textContent = heading;
  completion.replaceChildren(...parts.map((part) => {
    const words = text.slice(part.start, part.end);
    if (!part.marked) return document.createTextNode(words);
    const name = `${marked} ${marks.length + 1}`;
    const mark = element("mark", { tabIndex: -1, title: part.note ?? "" },
      element("span", { className: "by" }, name), words,
      element("span", { className: "unseen" }, ` end of ${name} `));
    marks.push(mark);
    return mark;
  }));
  $("after").replaceChildren(...after.flatMap(([name, words]) => [element("h3", {}, name), element("pre", {}, words)]));
  $("previous-span").disabled = $("next-span").disabled = marks.length === 0;
}

function showSegments({ text, words: [, marked, rest, unit] }, parts) {
  let number = 0;
  const ribbon = [];
  $("from-unit").textContent = `from ${unit}`;
  $("unit").textContent = `${unit}s`;
  $("segments").replaceChildren(...parts.map((part, position) => {
    const piece = element("i", { className: part.marked ? "big" : "" });
    piece.style.flexGrow = part.size;
    ribbon.push(piece);
    const row = element("tr", {}, element("th", { scope: "row" }, `${position + 1}`));
    if (part.marked) {
      const mark = number++;
      const button = element("button", { type: "button" }, `${marked} ${mark + 1}`);
      for (const target of [button, piece]) target.addEventListener("click", () => toSpan(mark));
      row.append(element("td", {}, button, part.note ? ` ${part.note}` : ""));
    } else row.append(element("td", {}, rest));
    const begins = text.slice(part.start, Math.min(part.end, part.start + 60)).trim();
    row.append(element("td", {}, count(part.from + 1)), element("td", {}, count(part.size)),
      element("td", { className: "words" }, begins));
    return row;
  }));
  $("ribbon").replaceChildren(...ribbon);
}

// Marks what a search looked for, without touching the text, and scrolls to its first place.
function showHits() {
  globalThis.CSS?.highlights?.delete("hit");
  if (!pattern) return;
  const ranges = [...trace.querySelectorAll("pre")].flatMap((place) => rangesIn(place));
  if (!ranges.length) return;
  if (globalThis.Highlight) CSS.highlights.set("hit", new Highlight(...ranges));
  scrollTo(ranges[0]);
}

function scrollTo(place) {
  trace.scrollTop += place.getBoundingClientRect().top - trace.getBoundingClientRect().top - trace.clientHeight / 3;
}

function rangesIn(place) {
  const nodes = [], starts = [];
  let text = "";
  const walker = document.createTreeWalker(place, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (node.parentElement.matches(".by, .unseen")) continue;
    nodes.push(node);
    starts.push(text.length);
    text += node.data;
  }
  const nodeAt = (offset) => starts.findLastIndex((start) => start <= offset);
  return Array.from(text.matchAll(new RegExp(pattern, "giu")), (match) => {
    const range = new Range(), last = match.index + match[0].length - 1;
    const first = nodeAt(match.index), final = nodeAt(last);
    range.setStart(nodes[first], match.index - starts[first]);
    range.setEnd(nodes[final], last + 1 - starts[final]);
    return range;
  });
}

function go(step) {
  if (!list[at + step]) return;
  at += step;
  show();
}

function toSpan(number) {
  span = (number + marks.length) % marks.length;
  marks[span].focus({ preventScroll: true });
  scrollTo(marks[span]);
}

function toOther(step) {
  const buttons = [...$("others").children];
  const now = buttons.findIndex((button) => button.getAttribute("aria-current") === "true");
  buttons[now + step]?.click();
}

function highlight(on) {
  $("highlights").checked = on;
  completion.classList.toggle("plain", !on);
}

const KEYS = {
  j: () => go(1), k: () => go(-1), ArrowRight: () => go(1), ArrowLeft: () => go(-1),
  n: () => marks.length && toSpan(span + 1), p: () => marks.length && toSpan(span < 0 ? -1 : span - 1),
  "]": () => toOther(1), "[": () => toOther(-1),
  h: () => highlight(!$("highlights").checked),
};
// Of the document, as a button that becomes disabled loses the focus to it.
document.addEventListener("keydown", (event) => {
  if (!viewer.open || event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
});
$("close").addEventListener("click", () => viewer.close());
viewer.addEventListener("close", () => history.replaceState(null, "", location.pathname + location.search));
addEventListener("hashchange", openAddressed);
$("previous").addEventListener("click", () => go(-1));
$("next").addEventListener("click", () => go(1));
$("previous-span").addEventListener("click", KEYS.p);
$("next-span").addEventListener("click", KEYS.n);
$("highlights").addEventListener("change", (event) => highlight(event.target.checked));
