// <nom-level>: the three levels of one mood as sliders, with what moving them does. Tells "input" whenever `levels`
// ({ strict, regular, loose }) change by hand; a level takes those along that would end up on its wrong side.
import { h, number, plural } from "../dom.js";
import { hueOf } from "./nom-moods.js";

const TIERS = ["strict", "regular", "loose"];
const STEP = 0.01;
const same = (one, other) => TIERS.every((tier) => one[tier] === other[tier]);

customElements.define("nom-level", class extends HTMLElement {
  setUp(mood, usual) {
    this.mood = mood;
    this.usual = usual;
    this.sliders = Object.fromEntries(TIERS.map((tier) => [tier, this.slider(tier)]));
    this.short = h("span", { class: "short soft" });
    this.count = h("span", { class: "count" });
    this.byTier = h("p", { class: "hint" }, "\u00a0");
    this.reset = h("button", { type: "button", onclick: () => this.change({ ...usual }) }, "Back to the default");
    this.replaceChildren(h("details", {}, h("summary", { "data-hue": hueOf(mood) }, h("span", { class: "word" }, mood), this.short, this.count),
      h("div", { class: "sliders" }, ...TIERS.map((tier) => this.sliders[tier].row), this.byTier, h("div", { class: "row" }, this.reset))));
  }

  slider(tier) {
    const input = h("input", { type: "range", min: STEP, max: 1, step: STEP, "aria-label": `${this.mood}, ${tier}`, oninput: () => this.move(tier, Number(input.value)) });
    const output = h("output", {});
    return { input, output, row: h("div", { class: "slider" }, h("span", {}, tier[0].toUpperCase() + tier.slice(1)), input, output) };
  }

  move(tier, value) {
    const at = TIERS.indexOf(tier);
    const moved = TIERS.map((name, n) => (n === at ? value : n < at ? Math.max(value, this.levels[name]) : Math.min(value, this.levels[name])));
    this.change(Object.fromEntries(TIERS.map((name, n) => [name, moved[n]])));
  }

  change(levels) {
    this.levels = levels;
    this.dispatchEvent(new Event("input", { bubbles: true }));
  }

  set levels(levels) {
    this.held = levels;
    for (const tier of TIERS) {
      this.sliders[tier].input.value = levels[tier];
      this.sliders[tier].output.textContent = levels[tier].toFixed(2);
    }
    this.short.textContent = TIERS.map((tier) => levels[tier].toFixed(2)).join(" / ");
    this.reset.disabled = same(levels, this.usual);
    this.classList.toggle("is-own", !this.reset.disabled);
  }

  get levels() {
    return this.held;
  }

  /** What the tracks are now, and what they would be: both as the preview has them; without `after` nothing changes. */
  show(before, after = null) {
    this.classList.toggle("is-changed", after !== null);
    this.count.textContent = after ? `${number(before.count)} → ${plural(after.count, "track")}` : plural(before.count, "track");
    this.byTier.textContent = TIERS.map((tier) => `${tier}: ${number(before[tier])}${after ? ` → ${number(after[tier])}` : ""}`).join(", ");
  }
});

export function level(mood, usual, levels) {
  const element = document.createElement("nom-level");
  element.setUp(mood, usual);
  element.levels = levels;
  return element;
}
