// Tables that sort and filter. Without this script they are plain tables, in full.
"use strict";

const SHOWN = 100; // rows, until all are asked for

function enhance(table) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const tools = document.createElement("div");
  tools.className = "tools";
  const filter = labelled("Filter ", "search");
  filter.input.setAttribute("aria-controls", table.id);
  tools.append(filter.label);
  const flagged = labelled("flagged only ", "checkbox");
  if (rows.some((row) => row.classList.contains("flagged"))) tools.append(flagged.label);
  const told = document.createElement("span");
  told.setAttribute("role", "status");
  const all = document.createElement("button");
  all.type = "button";
  all.textContent = "Show all";
  tools.append(told, all);
  table.parentElement.before(tools);

  let limit = SHOWN;

  function show() {
    const words = filter.input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const row of body.rows) {
      const text = texts[row.dataset.place];
      const fits = words.every((word) => text.includes(word))
        && (!flagged.input.checked || row.classList.contains("flagged"));
      found += fits;
      row.hidden = !fits || found > limit;
    }
    const shown = Math.min(found, limit);
    told.textContent = `${shown.toLocaleString("en")} of ${found.toLocaleString("en")} rows`
      + (found < rows.length ? `, ${rows.length.toLocaleString("en")} without the filter` : "");
    all.hidden = found <= limit;
  }

  rows.forEach((row, place) => { row.dataset.place = place; });
  filter.input.addEventListener("input", show);
  flagged.input.addEventListener("change", show);
  all.addEventListener("click", () => { limit = Infinity; show(); filter.input.focus(); });

  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const isNumber = head.classList.contains("n");
      const before = head.getAttribute("aria-sort");
      // numbers begin with the largest, names with the first
      const down = before ? before === "ascending" : isNumber;
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const keys = rows.map((row) => key(row.cells[column].textContent, isNumber));
      const order = [...rows.keys()].sort((a, b) => compare(keys[a], keys[b], down) || a - b);
      body.append(...order.map((place) => rows[place]));
      show();
    });
  });
  show();
}

function labelled(text, type) {
  const label = document.createElement("label");
  const input = document.createElement("input");
  input.type = type;
  label.append(text, input);
  return { label, input };
}

/** What a cell sorts by; null, which always comes last, where it says nothing. */
function key(text, isNumber) {
  if (text === "–" || text === "") return null;
  return isNumber ? Number.parseFloat(text.replaceAll(",", "")) : text;
}

function compare(a, b, down) {
  if (a === null || b === null) return (a === null) - (b === null);
  const order = typeof a === "number" ? a - b : a.localeCompare(b, "en");
  return down ? -order : order;
}

for (const table of document.querySelectorAll("table[data-sorts]")) enhance(table);
