"use strict";
// Tables sort by the column whose head is pressed; figures open at their full size.
for (const head of document.querySelectorAll("th")) {
  const button = document.createElement("button");
  button.append(...head.childNodes);
  head.append(button);
  button.addEventListener("click", () => sortBy(head));
}

function sortBy(head) {
  const table = head.closest("table");
  const column = [...head.parentNode.children].indexOf(head);
  const upwards = head.dataset.sorted !== "up";
  for (const other of table.querySelectorAll("th")) delete other.dataset.sorted;
  head.dataset.sorted = upwards ? "up" : "down";
  const rows = [...table.rows].slice(1);
  rows.sort((a, b) => compare(a.cells[column], b.cells[column]) * (upwards ? 1 : -1));
  rows[0]?.parentNode.append(...rows);
}

function compare(a, b) {
  const [first, second] = [a, b].map((cell) => cell.textContent.replaceAll(",", ""));
  const [x, y] = [first, second].map(parseFloat);
  return Number.isNaN(x) || Number.isNaN(y) ? first.localeCompare(second) : x - y;
}

const dialog = document.createElement("dialog");
document.body.append(dialog);
dialog.addEventListener("click", () => dialog.close());
for (const image of document.querySelectorAll("figure img")) {
  image.tabIndex = 0;
  const open = () => {
    dialog.replaceChildren(Object.assign(new Image(), { src: image.src, alt: image.alt }));
    dialog.showModal();
  };
  image.addEventListener("click", open);
  image.addEventListener("keydown", (event) => event.key === "Enter" && open());
}
