"use strict";
// Sorts and filters the table of claims; without it the table stands whole and in the order of the reports.
(() => {
  const table = document.getElementById("claims");
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const key = (row, column) => row.cells[column].dataset.sort ?? row.cells[column].textContent.trim();
  const compare = (a, b) => {
    if (a === "" || b === "") return (a === "") - (b === "");
    return isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b;
  };
  [...table.tHead.rows[0].cells].forEach((cell, column) => {
    const button = document.createElement("button");
    button.textContent = cell.textContent;
    cell.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = cell.getAttribute("aria-sort") === "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      cell.setAttribute("aria-sort", down ? "descending" : "ascending");
      rows.sort((a, b) => {
        const x = key(a, column), y = key(b, column);
        return x === "" || y === "" ? compare(x, y) : (down ? -1 : 1) * compare(x, y);
      });
      body.append(...rows);
    });
  });
  const form = document.querySelector("form[data-filters]");
  const output = form.querySelector("output");
  const show = () => {
    const wanted = Object.fromEntries(new FormData(form));
    const words = wanted.text.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = row.cells[0].textContent.toLowerCase();
      row.hidden = !(["field", "kind", "verdict"].every((name) => !wanted[name] || row.dataset[name] === wanted[name])
        && words.every((word) => text.includes(word)));
      shown += !row.hidden;
    }
    output.textContent = output.dataset.shown.replace("#", shown);
    const query = new URLSearchParams(Object.entries(wanted).filter(([, value]) => value)).toString();
    history.replaceState(null, "", query ? "?" + query : location.pathname);
  };
  for (const [name, value] of new URLSearchParams(location.search)) if (form.elements[name]) form.elements[name].value = value;
  form.addEventListener("input", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  show();
})();
