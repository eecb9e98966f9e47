// The grid of problems and systems: one tab stop, arrow keys move, Enter opens.
const grid = $("grid");
grid.setAttribute("role", "grid");
const body = grid.tBodies[0];
let current = body.rows[0].cells[1];
current.tabIndex = 0;

function focusCell(cell) {
  current.removeAttribute("tabindex");
  current = cell;
  current.tabIndex = 0;
  current.focus();
}

function openCell(cell) {
  const list = cellOf(cell.parentElement.sectionRowIndex, cell.cellIndex - 1);
  if (list.length) open(list, 0);
}

function visibleRow(row, step) {
  do row = step > 0 ? row.nextElementSibling : row.previousElementSibling;
  while (row && !row.getClientRects().length);
  return row;
}

function rowBy(row, steps) {
  for (let left = Math.abs(steps); left > 0; left--) row = visibleRow(row, steps) ?? row;
  return row;
}

const PAGE = 10;
const MOVES = {
  ArrowUp: (row, column) => [rowBy(row, -1), column],
  ArrowDown: (row, column) => [rowBy(row, 1), column],
  PageUp: (row, column) => [rowBy(row, -PAGE), column],
  PageDown: (row, column) => [rowBy(row, PAGE), column],
  ArrowLeft: (row, column) => [row, Math.max(1, column - 1)],
  ArrowRight: (row, column) => [row, Math.min(bys.length, column + 1)],
  Home: (row) => [row, 1],
  End: (row) => [row, bys.length],
};

grid.addEventListener("keydown", (event) => {
  const cell = event.target.closest("td");
  if (!cell || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Enter" || event.key === " ") openCell(cell);
  else if (MOVES[event.key]) {
    const [row, column] = MOVES[event.key](cell.parentElement, cell.cellIndex);
    focusCell(row.cells[column]);
  } else return;
  event.preventDefault();
});
grid.addEventListener("click", (event) => {
  const cell = event.target.closest("td");
  if (!cell) return;
  focusCell(cell);
  openCell(cell);
});
$("differing").addEventListener("change", (event) => {
  grid.classList.toggle("differing", event.target.checked);
  const first = [...body.rows].find((row) => row.getClientRects().length);
  if (first && !current.getClientRects().length) {
    current.removeAttribute("tabindex");
    current = first.cells[1];
    current.tabIndex = 0;
  }
});
