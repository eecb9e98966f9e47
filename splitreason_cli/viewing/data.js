// What the page embeds: an index of all texts, and blocks of text that are inflated when first needed.
const $ = (id) => document.getElementById(id);

function bytes(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

async function inflate(id) {
  const packed = new Blob([bytes($(id).textContent)]);
  return new Response(packed.stream().pipeThrough(new DecompressionStream("deflate"))).json();
}

// A search goes through all blocks, which together may be more than the memory holds.
const KEPT_BLOCKS = 128;
const blocks = new Map();
function block(number) {
  const inflated = blocks.get(number) ?? inflate(`block-${number}`);
  blocks.delete(number);
  blocks.set(number, inflated);
  if (blocks.size > KEPT_BLOCKS) blocks.delete(blocks.keys().next().value);
  return inflated;
}

const entryOf = async (view) => (await block(view.block))[view.place];
const problemOf = async (entry) => (await block(entry.problem[0]))[entry.problem[1]];

// A text's parts: [{marked, size, start, end, from, note}], start and end in UTF-16 code units, the others in its unit.
function partsOf(entry) {
  let end = 0, from = 0;
  return entry.parts.map(([marked, size, length, note]) => {
    const part = { marked: marked === 1, size, start: end, end: end + length, from, note };
    end += length;
    from += size;
    return part;
  });
}

const { names, bys, fields, rows } = await inflate("index");
const views = rows.map((row) => Object.fromEntries(fields.map((name, at) => [name, row[at]])));

// The texts of one problem by one author, in their order.
const cells = new Map();
for (const view of views) {
  const key = `${view.name} ${view.by}`;
  if (!cells.has(key)) cells.set(key, []);
  cells.get(key).push(view);
}
const cellOf = (name, by) => cells.get(`${name} ${by}`) ?? [];

function titleOf(view) {
  const [by, role] = bys[view.by];
  return `${names[view.name]} ${role} ${by}`;
}

const count = (number) => number.toLocaleString("en");

function element(name, attributes = {}, ...children) {
  const made = Object.assign(document.createElement(name), attributes);
  made.append(...children);
  return made;
}
