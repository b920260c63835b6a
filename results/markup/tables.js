"use strict";
// Tables of four rows and more are sorted by their headers and filtered by a text; without scripts they stand as they are.
const WORTH_IT = 4;
const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
const NEXT = { none: "ascending", ascending: "descending", descending: "none" };

function keyOf(row, index, numeric) {
  const cell = row.cells[index];
  const text = cell.textContent.trim();
  if (text === "") return null;
  if (!numeric) return text;
  return "value" in cell.dataset ? Number(cell.dataset.value) : null;
}

function sort(table, index, direction, original) {
  const numeric = table.tHead.rows[0].cells[index].classList.contains("numbers");
  const sign = direction === "descending" ? -1 : 1;
  const rows = original.map((row) => ({ row, key: keyOf(row, index, numeric) }));
  if (direction !== "none") {
    rows.sort((a, b) => {
      if (a.key === null || b.key === null) return (a.key === null) - (b.key === null); // empties last, both ways
      return sign * (numeric ? a.key - b.key : collator.compare(a.key, b.key));
    });
  }
  table.tBodies[0].append(...rows.map((found) => found.row));
}

function addSorting(table, original) {
  const headers = [...table.tHead.rows[0].cells];
  headers.forEach((header, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    header.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const direction = NEXT[header.getAttribute("aria-sort")];
      headers.forEach((other) => other.setAttribute("aria-sort", "none"));
      header.setAttribute("aria-sort", direction);
      sort(table, index, direction, original);
    });
  });
}

function addFilter(table, rows) {
  const label = document.createElement("label");
  const field = document.createElement("input");
  const shown = document.createElement("output");
  field.type = "search";
  field.setAttribute("aria-label", "Filter rows of: " + table.caption.textContent);
  label.className = "filter";
  label.append("Filter ", field, shown);
  table.closest(".table").prepend(label);
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/);
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
    const left = rows.filter((row) => !row.hidden).length;
    shown.textContent = left === rows.length ? "" : `${left} of ${rows.length} rows`;
  });
}

for (const table of document.querySelectorAll("table")) {
  const rows = [...table.tBodies[0].rows];
  if (rows.length < WORTH_IT) continue;
  addSorting(table, rows);
  addFilter(table, rows);
}
