"use strict";
// Sorts tables by their headers, filters long ones by words, and marks content wider than the screen; without scripts
// the page is unchanged.
const LONG = 6;
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
      if (a.key === null || b.key === null) return (a.key === null) - (b.key === null); // empty cells last in both directions
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
  const box = table.closest(".scroll");
  field.setAttribute("aria-label", "Filter " + box.previousElementSibling.textContent);
  label.className = "filter";
  label.append("Filter ", field, shown);
  box.before(label);
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
  if (rows.length > 2) addSorting(table, rows);
  if (rows.length >= LONG) addFilter(table, rows);
}

// A pixel of slack, as widths are rounded.
function tellWhatIsCut(box) {
  box.classList.toggle("more", box.scrollLeft + box.clientWidth < box.scrollWidth - 1);
}

const sizes = new ResizeObserver((changed) => changed.forEach((each) => tellWhatIsCut(each.target.closest(".scroll"))));
for (const box of document.querySelectorAll(".scroll")) {
  box.addEventListener("scroll", () => tellWhatIsCut(box), { passive: true });
  sizes.observe(box);
  sizes.observe(box.firstElementChild);
}
