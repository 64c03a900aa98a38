"use strict";
// Sorting and filtering of the scoreboard; the page is complete without it.
const board = document.getElementById("board");
if (board) {
  const rows = () => Array.from(board.tBodies[0].rows);
  const key = (row, column) => {
    const text = row.cells[column].textContent.replace("−", "-");
    return text.trim() !== "" && !Number.isNaN(Number(text)) ? Number(text) : text;
  };
  // Numbers before words, and what is empty last.
  const order = (x, y) =>
    x === "" || y === "" ? (x === "") - (y === "") : typeof x === typeof y ? (x > y) - (x < y) : typeof x === "number" ? -1 : 1;
  const heads = Array.from(board.tHead.rows[0].cells);
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const sorted = rows().sort((a, b) => {
        const [x, y] = [key(a, column), key(b, column)];
        return x === "" || y === "" ? order(x, y) : (up ? 1 : -1) * order(x, y);
      });
      board.tBodies[0].append(...sorted);
    });
  });
  const filter = document.createElement("input");
  filter.type = "search";
  filter.placeholder = "filter trials, e.g. holds";
  filter.setAttribute("aria-label", "filter trials");
  const apply = () => {
    const wanted = filter.value.toLowerCase();
    rows().forEach((row) => {
      const anchor = row.id.slice("row-".length);
      const section = document.getElementById(anchor);
      const claim = section.querySelector("p:nth-of-type(2)").textContent;
      row.hidden = !(row.textContent + " " + claim).toLowerCase().includes(wanted);
      section.hidden = row.hidden;
      document.querySelectorAll(`.forest a[href="#${anchor}"]`).forEach((line) => { line.hidden = row.hidden; });
    });
    try { sessionStorage.setItem("filter", filter.value); } catch { /* a page from disk may not keep anything */ }
  };
  filter.addEventListener("input", apply);
  board.parentElement.before(filter);
  try { filter.value = sessionStorage.getItem("filter") || ""; } catch { /* as above */ }
  if (filter.value) apply();
}
