// <nom-moods>: the mood words of a track as chips, the surest first.
//   moods(details.moods) of GET /api/web/files/{id}, or plain words: moods(["calm", "acoustic"])
import { h, href } from "../dom.js";

const HUES = {
  happy: "gold", bright: "gold", catchy: "gold", sad: "blue", mellow: "blue", calm: "teal", chill: "teal", relaxed: "teal",
  ambient: "teal", aggressive: "red", energetic: "red", party: "pink", danceable: "pink", sexy: "pink", acoustic: "green",
  beautiful: "green", vocal: "green", electronic: "violet", dark: "violet", instrumental: "violet",
};
export const WORDS = Object.keys(HUES).sort();
export const hueOf = (word) => HUES[word] ?? "teal";
const MEANS = { strict: "clearly", regular: "rather", loose: "a little" };

/** One chip, a link to the tracks of this mood. `tier` is strict, regular or loose. */
export function chip(word, tier = "strict") {
  return h("a", { class: `chip is-${tier}`, "data-hue": hueOf(word), href: href("/library", { tag: `mood:${word}` }), title: `${MEANS[tier]} ${word}` }, word);
}

customElements.define("nom-moods", class extends HTMLElement {
  most = Infinity;

  set words(moods) {
    const said = moods.map((one) => (typeof one === "string" ? { mood: one, tier: "strict" } : one)).filter((one) => one.tier);
    const order = Object.keys(MEANS);
    said.sort((a, b) => order.indexOf(a.tier) - order.indexOf(b.tier));
    this.replaceChildren(...(said.length ? said.slice(0, this.most).map((one) => chip(one.mood, one.tier)) : [h("span", { class: "soft" }, "no clear mood")]));
  }
});

/** With `most`, only so many: the surest. */
export function moods(words, most = Infinity) {
  const element = document.createElement("nom-moods");
  element.most = most;
  element.words = words;
  return element;
}
