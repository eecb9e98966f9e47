// What the page embeds: an index of all generations, and blocks of text that are inflated when first needed.
const $ = (id) => document.getElementById(id);

function bytes(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

async function inflate(id) {
  const packed = new Blob([bytes($(id).textContent)]);
  return new Response(packed.stream().pipeThrough(new DecompressionStream("deflate"))).json();
}

const blocks = new Map();
function block(number) {
  if (!blocks.has(number)) blocks.set(number, inflate(`block-${number}`));
  return blocks.get(number);
}

// One generation's text and segments: [{big, tokens, start, end, from}], in UTF-16 code units and tokens.
async function textOf(generation) {
  const [text, packed] = (await block(generation.block))[generation.place];
  let end = 0, from = 0;
  const segments = packed.map(([big, tokens, length]) => {
    const segment = { big: big === 1, tokens, start: end, end: end + length, from };
    end += length;
    from += tokens;
    return segment;
  });
  return { text, segments };
}

const { labels, problems, fields, generations: rows } = await inflate("index");
const generations = rows.map((row) => Object.fromEntries(fields.map((name, at) => [name, row[at]])));

// Generations stand in order of problem, run and sample, so those of a cell of the grid are neighbours.
const cells = new Map();
for (const generation of generations) {
  const key = `${generation.problem} ${generation.run}`;
  if (!cells.has(key)) cells.set(key, []);
  cells.get(key).push(generation);
}
const cellOf = (problem, run) => cells.get(`${problem} ${run}`) ?? [];

const VERDICTS = new Map([[true, "✓ right"], [false, "✗ wrong"], [null, "? no verdict"]]);
const count = (number) => number.toLocaleString("en");

function element(name, attributes = {}, ...children) {
  const made = Object.assign(document.createElement(name), attributes);
  made.append(...children);
  return made;
}
