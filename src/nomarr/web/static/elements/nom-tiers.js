// <nom-tiers>: how often each mood is said, and how surely. Give it `moods` as GET /api/web/analytics/mood-distribution
// has them, with `links` that lead to pages. It is a table, whose bars only repeat what its numbers say.
import { h, number, percent } from "../dom.js";
import { hueOf } from "./nom-moods.js";

const TIERS = ["strict", "regular", "loose"];
const NAMES = ["Mood", "", "Tracks", "Share", "Strict", "Regular", "Loose"];

customElements.define("nom-tiers", class extends HTMLElement {
  set moods(moods) {
    const most = Math.max(...moods.map((one) => one.count), 1);
    this.replaceChildren(h("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": "How often each mood is said" }, h("table", {},
      h("thead", {}, h("tr", {}, ...NAMES.map((name, at) => (name ? h("th", { scope: "col", class: at > 1 ? "amount" : null }, name) : h("td"))))),
      h("tbody", {}, ...moods.map((one) => row(one, most))))));
  }
});

function row(one, most) {
  const amount = (name) => h("td", { class: "amount" }, one[name] ? h("a", { href: one.links[name] }, number(one[name])) : "0");
  const parts = TIERS.map((tier) => {
    const part = h("span", { class: `is-${tier}` });
    part.style.setProperty("--share", (one[tier] / most).toFixed(4));
    return part;
  });
  return h("tr", { "data-hue": hueOf(one.mood) }, h("th", { scope: "row" }, one.mood), h("td", { class: "bar", "aria-hidden": "true" }, h("div", {}, ...parts)),
    amount("count"), h("td", { class: "amount" }, percent(one.percentage / 100, 1)), ...TIERS.map(amount));
}

export function tiers(moods) {
  const element = document.createElement("nom-tiers");
  element.moods = moods;
  return element;
}
