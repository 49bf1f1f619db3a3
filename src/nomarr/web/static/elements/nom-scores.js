// <nom-scores>: the scores of a track as bars with a mark, against where nine of ten tracks lie. `scores` are those of
// GET /api/web/files/{id}; each leads to the tracks that have at least as much.
import { h, href, number } from "../dom.js";

const GROUPS = [["mood_", "Moods"], ["genre_", "Genres"], ["era_", "Eras"], ["voice_", "Voices"], ["instrument_", "Instruments"]];
const OTHER = "Sound";

function groupOf(name) {
  return GROUPS.find(([start]) => name.startsWith(start))?.[1] ?? OTHER;
}

function row(score, namespace) {
  const value = score.calibrated ?? score.raw; // what is written, and what filters compare
  const bar = h("span", { class: "range" }, h("span", { class: "band" }), h("span", { class: "point" }));
  bar.style.setProperty("--from", score.p5 ?? 0);
  bar.style.setProperty("--to", score.p95 ?? 0);
  bar.style.setProperty("--at", score.raw);
  const place = score.percentile === null ? "" : `higher than ${number(score.percentile, 0)} %`;
  const band = score.p5 === null ? "nothing to compare it with" : `nine of ten lie between ${score.p5.toFixed(2)} and ${score.p95.toFixed(2)}`;
  return h("tr", { title: `${score.pack}, ${score.head}: ${score.raw.toFixed(4)}, ± ${score.spread.toFixed(3)} over the track; ${band}` },
    h("th", { scope: "row" }, h("a", { href: href("/library", { tag: `${namespace}:${score.name}>=${(Math.floor(value * 100) / 100).toFixed(2)}` }) }, score.name.replace(/^(mood|genre|era|voice|instrument)_/, "").replaceAll("_", " "))),
    h("td", { class: "bar", "aria-hidden": "true" }, bar), h("td", { class: "amount" }, score.raw.toFixed(2)),
    h("td", { class: "amount soft place" }, place));
}

customElements.define("nom-scores", class extends HTMLElement {
  show(scores, namespace) {
    const opened = new Set([...this.querySelectorAll("details[open]")].map((one) => one.dataset.group));
    const groups = Map.groupBy ? Map.groupBy(scores, (one) => groupOf(one.name)) : scores.reduce((all, one) => all.set(groupOf(one.name), [...(all.get(groupOf(one.name)) ?? []), one]), new Map());
    const names = [OTHER, ...GROUPS.map(([, name]) => name)].filter((name) => groups.has(name));
    this.replaceChildren(...names.map((name) => {
      const sorted = [...groups.get(name)].sort((a, b) => (b.percentile ?? b.raw) - (a.percentile ?? a.raw));
      return h("details", { "data-group": name, open: opened.size ? opened.has(name) : name === OTHER },
        h("summary", {}, h("strong", {}, name), ` (${sorted.length})`),
        h("table", {}, h("caption", { class: "unseen" }, name), h("tbody", {}, ...sorted.map((score) => row(score, namespace)))));
    }));
  }
});

let element = null;
export function scoreBars(scores, namespace) {
  element ??= document.createElement("nom-scores");
  element.show(scores, namespace);
  return element;
}
