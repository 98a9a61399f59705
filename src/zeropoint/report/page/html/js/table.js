// The table of layers: sorted by any column, filtered, walked with the arrow keys.

const body = document.querySelector(".layers tbody");
const rows = [...body.rows];
const heads = [...document.querySelectorAll(".layers th")];
const filter = document.getElementById("filter");
const withFindings = document.getElementById("with-findings");
const DESCENDING_FIRST = new Set(["saturated", "codes", "gain"]);

export function prepareTable(choose, open) {
  for (const head of heads) head.firstElementChild.addEventListener("click", () => sortBy(head));
  body.addEventListener("click", (event) => {
    const row = event.target.closest("tr");
    if (!row) return;
    buttonOf(row).focus({ preventScroll: true });
    choose(row.dataset.value);
    open(false);
  });
  body.addEventListener("keydown", (event) => walk(event, choose, open));
  filter.addEventListener("input", narrow);
  filter.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "Enter") {
      const row = visible()[0];
      if (row) step(row, choose);
      event.preventDefault();
    }
    if (event.key === "Escape") clear();
  });
  withFindings.addEventListener("click", () => {
    withFindings.setAttribute("aria-pressed", String(withFindings.getAttribute("aria-pressed") !== "true"));
    narrow();
  });
  document.getElementById("clear").addEventListener("click", clear);
  document.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    filter.focus();
    filter.select();
  });
}

export function markRow(value) {
  for (const row of rows) {
    const chosen = row.dataset.value === value;
    if (chosen) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
    buttonOf(row).tabIndex = chosen ? 0 : -1;
    if (chosen) revealRow(row);
  }
  keepReachable();
}

// The value of the layer that stands before or after the chosen one, as the table shows them now.
export function neighbour(value, distance) {
  const shown = visible();
  const at = shown.findIndex((row) => row.dataset.value === value);
  return shown[at + distance]?.dataset.value ?? null;
}

function buttonOf(row) {
  return row.querySelector(".name button");
}

function visible() {
  return [...body.rows].filter((row) => !row.hidden);
}

// Inside the table's own box only: the page does not move.
function revealRow(row) {
  const box = document.getElementById("table-scroll");
  const head = heads[0].offsetHeight;
  const top = row.offsetTop - head;
  const bottom = row.offsetTop + row.offsetHeight - box.clientHeight;
  if (box.scrollTop > top) box.scrollTop = top;
  else if (box.scrollTop < bottom) box.scrollTop = bottom;
}

function walk(event, choose, open) {
  const row = event.target.closest("tr");
  const shown = visible();
  const at = shown.indexOf(row);
  const page = 10;
  const goal = {
    ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: shown.length - 1,
  }[event.key];
  if (event.key === "Enter") {
    event.preventDefault();
    choose(row.dataset.value);
    open(true);
  } else if (goal !== undefined) {
    event.preventDefault();
    step(shown[Math.max(0, Math.min(goal, shown.length - 1))], choose);
  }
}

function step(row, choose) {
  choose(row.dataset.value);
  buttonOf(row).focus({ preventScroll: true });
}

function sortBy(head) {
  const key = head.firstElementChild.dataset.sort;
  const before = head.getAttribute("aria-sort");
  const down = before ? before === "ascending" : DESCENDING_FIRST.has(key);
  for (const other of heads) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const sign = down ? -1 : 1;
  body.append(...rows.toSorted((a, b) => compare(a.dataset[key], b.dataset[key], sign)));
}

// Texts by their letters, numbers by size; what is not known stands last, whichever way.
function compare(a, b, sign) {
  if (a === "" || b === "") return (a === "") - (b === "");
  const [x, y] = [Number(a), Number(b)];
  return sign * (Number.isNaN(x - y) && x !== y ? a.localeCompare(b, "en", { numeric: true }) : x === y ? 0 : x - y);
}

function narrow() {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  const only = withFindings.getAttribute("aria-pressed") === "true";
  for (const row of rows) {
    const fits = words.every((word) => row.dataset.find.includes(word));
    row.hidden = !fits || (only && row.dataset.findings === "0");
  }
  const shown = visible().length;
  const all = `${rows.length} layers`;
  document.getElementById("count").textContent = shown === rows.length ? all : `${shown} of ${all}`;
  document.getElementById("empty").hidden = shown > 0;
  keepReachable();
}

// Tab reaches one row: the chosen one, or the first where the filter hides that.
function keepReachable() {
  const shown = visible();
  if (shown.some((row) => buttonOf(row).tabIndex === 0)) return;
  for (const row of shown.slice(0, 1)) buttonOf(row).tabIndex = 0;
}

function clear() {
  filter.value = "";
  withFindings.setAttribute("aria-pressed", "false");
  narrow();
  filter.focus();
}
