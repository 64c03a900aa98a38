"use strict";
// Sorting and filtering of the scoreboard; the page is complete without it.
const board = document.getElementById("board");
if (board) {
  const rows = () => Array.from(board.tBodies[0].rows);
  const key = (row, column) => {
    const text = row.cells[column].textContent;
    const number = parseFloat(text);
    return Number.isNaN(number) ? text : number;
  };
  Array.from(board.tHead.rows[0].cells).forEach((cell, column) => {
    let direction = 1;
    cell.classList.add("sortable");
    cell.addEventListener("click", () => {
      rows()
        .sort((a, b) => {
          const [x, y] = [key(a, column), key(b, column)];
          return direction * (typeof x === typeof y ? (x > y) - (x < y) : typeof x === "number" ? -1 : 1);
        })
        .forEach((row) => board.tBodies[0].append(row));
      direction = -direction;
    });
  });
  const filter = document.createElement("input");
  filter.type = "search";
  filter.placeholder = "filter trials";
  filter.setAttribute("aria-label", "filter trials");
  filter.addEventListener("input", () => {
    const wanted = filter.value.toLowerCase();
    rows().forEach((row) => { row.hidden = !row.textContent.toLowerCase().includes(wanted); });
  });
  board.parentElement.before(filter);
}
