// <nom-chart>: numbers as something to look at, to read and to follow. It is made of tables and links, so it is its own
// alternative in text, takes the colours of the theme, and needs no library. Give it `data`:
//   { kind: "bars", caption, items: [{ label, value, text, href, hue }] }              one bar a row, the longest fills it
//   { kind: "columns", caption, items: [{ label, value, text, href }], marks: [{ at, label }], from, to }   a histogram;
//     `at` is 0 to 1 from left to right, `from` and `to` are what the axis says at its ends
//   { kind: "grid", caption, rows, columns, cells: [[{ value, text, title, href }]] }    `value` -1 to 1 is the colour
// Where there are many links, one Tab goes in, arrows go on, and Tab goes out.
import { h, number } from "../dom.js";

const KINDS = { bars, columns, grid };
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

customElements.define("nom-chart", class extends HTMLElement {
  set data(data) {
    this.className = `is-${data.kind}`;
    this.replaceChildren(...KINDS[data.kind](data));
  }
});

export function chart(data) {
  const element = document.createElement("nom-chart");
  element.data = data;
  return element;
}

/** A link where there is somewhere to go, else plain text. */
function linked(to, attributes, ...children) {
  return to ? h("a", { href: to, ...attributes }, ...children) : h("span", attributes, ...children);
}

function withShare(element, share) {
  element.style.setProperty("--share", Number.isFinite(share) ? Math.min(share, 1).toFixed(4) : "0");
  return element;
}

function bars({ caption, items }) {
  const most = Math.max(...items.map((item) => item.value), 0);
  return [h("table", {}, h("caption", { class: "unseen" }, caption), h("tbody", {}, ...items.map((item) =>
    h("tr", {},
      h("th", { scope: "row" }, linked(item.href, {}, item.label)),
      h("td", { class: "bar", "aria-hidden": "true" }, withShare(h("span", { "data-hue": item.hue }), item.value / most)),
      h("td", { class: "amount" }, item.text ?? number(item.value))))))];
}

function columns({ caption, items, marks = [], from = "", to = "" }) {
  const most = Math.max(...items.map((item) => item.value), 0);
  const plot = h("div", { class: "plot", role: "group", "aria-label": caption }, ...items.map((item) =>
    withShare(linked(item.href, { class: "column", title: `${item.label}: ${item.text ?? number(item.value)}`, "aria-label": `${item.label}: ${item.text ?? number(item.value)}`, role: item.href ? null : "img" }), item.value / most)));
  for (const mark of marks) plot.append(withShare(h("span", { class: mark.at > 0.85 ? "mark is-late" : "mark" }, mark.label), mark.at));
  rove(plot, [[...plot.querySelectorAll(".column")]]);
  return [plot, h("div", { class: "axis", "aria-hidden": "true" }, h("span", {}, from), h("span", {}, to)),
    h("details", {}, h("summary", {}, "As a table"),
      h("table", {}, h("caption", { class: "unseen" }, caption), h("tbody", {}, ...items.map((item) =>
        h("tr", {}, h("th", { scope: "row" }, linked(item.href, {}, item.label)), h("td", { class: "amount" }, item.text ?? number(item.value)))))))];
}

function grid({ caption, rows, columns: names, cells }) {
  const table = h("table", {}, h("caption", { class: "unseen" }, caption),
    h("thead", {}, h("tr", {}, h("td"), ...names.map((name) => h("th", { scope: "col" }, h("span", {}, name))))),
    h("tbody", {}, ...rows.map((name, row) => h("tr", {}, h("th", { scope: "row" }, name), ...cells[row].map((cell, column) => {
      const title = `${name}, ${names[column]}: ${cell.title ?? cell.text}`;
      const mark = withShare(linked(cell.href, { class: cell.value < 0 ? "cell is-negative" : "cell", title }, cell.text), Math.abs(cell.value));
      return h("td", {}, mark);
    })))));
  rove(table, [...table.tBodies[0].rows].map((row) => [...row.querySelectorAll(".cell")]));
  return [h("div", { class: "scroll", tabindex: rows.length ? "0" : null, role: "region", "aria-label": caption }, table)];
}

/** One tab stop for all links in rows of elements; arrows move between them, over those that lead nowhere. */
function rove(container, rows) {
  const links = rows.flat().filter((element) => element.href);
  links.forEach((link, n) => (link.tabIndex = n ? -1 : 0));
  container.addEventListener("keydown", (event) => {
    const step = STEPS[event.key];
    let row = rows.findIndex((elements) => elements.includes(document.activeElement));
    if (row < 0 || !step) return;
    let column = rows[row].indexOf(document.activeElement);
    do [column, row] = [column + step[0], row + step[1]];
    while (rows[row]?.[column] && !rows[row][column].href);
    const next = rows[row]?.[column];
    if (!next) return;
    event.preventDefault();
    document.activeElement.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
}
