// One trace at a time, out of a list: a cell's completions, or what a search found.
const viewer = $("viewer");
const trace = $("trace");
const completion = $("completion");
let list = [], at = 0, shown = 0, marks = [], span = -1, pattern = null;

function open(generations, position, found = null) {
  list = generations;
  at = position;
  pattern = found;
  if (!viewer.open) viewer.showModal();
  return show();
}

async function show() {
  const generation = list[at];
  const request = ++shown;
  const { text, segments } = await textOf(generation);
  if (request !== shown) return; // The reader went on while this one was inflated.
  const [id, problem, answer] = problems[generation.problem];
  const title = `${id} by ${labels[generation.run]}`;
  const samples = cellOf(generation.problem, generation.run).length;
  $("viewer-title").textContent = samples > 1 ? `${title}, sample ${generation.sample + 1} of ${samples}` : title;
  $("position").textContent = `${count(at + 1)} of ${count(list.length)}: ${VERDICTS.get(generation.correct)}`;
  $("previous").disabled = at === 0;
  $("next").disabled = at === list.length - 1;
  $("problem").textContent = problem;
  showOthers(generation);
  showFacts(generation, answer);
  showCompletion(text, segments);
  showSegments(text, segments);
  trace.scrollTop = 0;
  showHits();
  history.replaceState(null, "", addressOf(generation));
}

// A trace's own address, which others can be sent: the problem's id, the system and the sample.
function addressOf(generation) {
  const parts = [problems[generation.problem][0], labels[generation.run], generation.sample];
  return `#trace/${parts.map((part) => encodeURIComponent(`${part}`.toWellFormed())).join("/")}`;
}

function openAddressed() {
  const [place, ...parts] = location.hash.slice(1).split("/");
  if (place !== "trace") return;
  const [id, label, sample] = parts.map((part) => decodeURIComponent(part));
  const cell = cellOf(problems.findIndex(([name]) => name === id), labels.indexOf(label));
  const position = cell.findIndex((generation) => String(generation.sample) === sample);
  if (position >= 0) open(cell, position);
}

function showOthers(generation) {
  $("others").replaceChildren(...labels.flatMap((label, run) => {
    const cell = cellOf(generation.problem, run);
    if (!cell.length) return [];
    const right = cell.filter((other) => other.correct).length;
    const button = element("button", { type: "button" }, `${label} ${right}/${cell.length}`);
    button.setAttribute("aria-current", String(run === generation.run));
    button.addEventListener("click", async () => {
      const had = document.activeElement === button;
      await open(cell, Math.max(0, cell.findIndex((other) => other.sample === generation.sample)), pattern);
      if (had) $("others").querySelector("[aria-current=true]").focus(); // Its successor: all are new.
    });
    return [button];
  }));
  $("others").querySelector("[aria-current=true]").scrollIntoView({ block: "nearest", inline: "nearest" });
}

// The log of an imported generation may not say.
const UNKNOWN = "not in the log";

function tokensOf(g) {
  if (g.tokens === null) return UNKNOWN;
  if (g.big_tokens === null) return `${count(g.tokens)}, by whom is ${UNKNOWN}`;
  const share = g.tokens ? (100 * g.big_tokens / g.tokens).toFixed(1) : "0.0";
  return `${count(g.tokens)}: ${count(g.tokens - g.big_tokens)} small, ${count(g.big_tokens)} big (${share} %)`;
}

function showFacts(g, answer) {
  const spans = [g.spans === null ? UNKNOWN : `${g.spans}`, g.cut && `${g.cut} cut by a limit`, g.refused && `${g.refused} more refused`,
    g.unclosed && "the last one never closed"].filter(Boolean).join(", ");
  const ended = { stop: "by itself", length: "at the token limit" }[g.finish] ?? g.finish;
  const facts = {
    verdict: VERDICTS.get(g.correct), "gold answer": answer,
    tokens: tokensOf(g), spans, ended,
    seconds: g.seconds === null ? UNKNOWN : g.seconds.toFixed(g.seconds < 10 ? 2 : 1),
  };
  $("facts").replaceChildren(...Object.entries(facts).map(([name, value]) =>
    element("div", {}, element("dt", {}, name), element("dd", { className: name }, value))));
}

function showCompletion(text, segments) {
  marks = [];
  span = -1;
  completion.replaceChildren(...segments.map((segment) => {
    const words = text.slice(segment.start, segment.end);
    if (!segment.big) return document.createTextNode(words);
    const number = marks.length + 1;
    const mark = element("mark", { tabIndex: -1 },
      element("span", { className: "by" }, `big ${number}`), words,
      element("span", { className: "unseen" }, ` end of big ${number} `));
    marks.push(mark);
    return mark;
  }));
  $("previous-span").disabled = $("next-span").disabled = marks.length === 0;
}

function showSegments(text, segments) {
  let big = 0;
  const ribbon = [];
  $("segments").replaceChildren(...segments.map((segment, number) => {
    const piece = element("i", { className: segment.big ? "big" : "" });
    piece.style.flexGrow = segment.tokens;
    ribbon.push(piece);
    const row = element("tr", {}, element("th", { scope: "row" }, `${number + 1}`));
    if (segment.big) {
      const mark = big++;
      const button = element("button", { type: "button" }, `big ${mark + 1}`);
      for (const target of [button, piece]) target.addEventListener("click", () => toSpan(mark));
      row.append(element("td", {}, button));
    } else row.append(element("td", {}, "small"));
    const begins = text.slice(segment.start, Math.min(segment.end, segment.start + 60)).trim();
    row.append(element("td", {}, count(segment.from + 1)), element("td", {}, count(segment.tokens)),
      element("td", { className: "words" }, begins));
    return row;
  }));
  $("ribbon").replaceChildren(...ribbon);
}

// Marks what a search looked for, without touching the text, and scrolls to its first place.
function showHits() {
  globalThis.CSS?.highlights?.delete("hit");
  if (!pattern) return;
  const ranges = [$("problem"), completion].flatMap((place) => rangesIn(place));
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

function toSystem(step) {
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
  "]": () => toSystem(1), "[": () => toSystem(-1),
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
