// <nom-mood-editor>: every mood of a track with its strength, the reasons, and what somebody says about it. Tells
// "corrected" when something was settled. show(track, found): found is GET /api/web/files/{id}/moods, null before hearing.
import { api } from "../api.js";
import { fileName, h, percent } from "../dom.js";
import { ask } from "./nom-confirm.js";
import { showError } from "./nom-toasts.js";

const TIERS = { strict: "clearly", regular: "rather", loose: "a little", none: "not at all" };
const BY_HAND = { set: "set by you", removed: "taken away by you", locked: "kept by the lock" };

function at(element, share, name = "--share") {
  element.style.setProperty(name, Math.max(0, Math.min(1, share ?? 0)).toFixed(4));
  return element;
}

customElements.define("nom-mood-editor", class extends HTMLElement {
  show(track, found) {
    this.track = track;
    if (!found) {
      this.replaceChildren(h("p", { class: "soft" }, "They show up here when the track was heard."));
      return;
    }
    const focused = document.activeElement?.closest?.("nom-mood-editor") === this ? document.activeElement.id : null;
    const opened = new Set([...this.querySelectorAll("details[open]")].map((one) => one.id));
    const isShown = (one) => one.tier !== "none" || ["set", "removed"].includes(one.by_hand);
    const rest = found.moods.filter((one) => !isShown(one));
    const shown = found.moods.filter(isShown);
    this.replaceChildren(
      shown.length ? h("ul", { class: "moods" }, ...shown.map((one) => this.#row(one, found))) : h("p", { class: "soft" }, "No mood is clear enough to be said."),
      h("details", { id: "other-moods" }, h("summary", {}, `Moods that it has not (${rest.length})`), h("ul", { class: "moods" }, ...rest.map((one) => this.#row(one, found)))),
      h("div", { class: "row" },
        h("label", { class: "lock" }, h("input", { type: "checkbox", id: "lock", checked: found.locked, onchange: (event) => this.#lock(event.target.checked) }),
          h("span", {}, "Lock the words ", h("small", {}, "They stay as they are, whatever models and calibrations say later."))),
        found.locked || found.moods.some((one) => one.by_hand) ? h("button", { type: "button", class: "quiet", id: "leave", onclick: () => this.#leave(found) }, "Leave all to the models again") : null));
    for (const one of this.querySelectorAll("details")) one.open = opened.has(one.id);
    if (focused) (document.getElementById(focused) ?? this.querySelector("select"))?.focus();
  }

  #row(one, found) {
    const settled = one.by_hand === "set" || one.by_hand === "removed";
    const levels = ["loose", "regular", "strict"].map((name) => at(h("span", { class: "level" }), one.levels[name]));
    const bar = at(h("span", { class: `strength is-${one.tier}` }, h("span", { class: "fill" }), ...levels), one.strength);
    const select = h("select", { id: `mood-${one.mood}`, "aria-label": `${one.mood}, by hand`, onchange: (event) => this.#settle(one.mood, event.target.value) },
      h("option", { value: "" }, `models: ${TIERS[one.models_tier]}`), ...Object.entries(TIERS).map(([value, text]) => h("option", { value }, text)));
    select.value = settled ? one.tier : "";
    return h("li", {},
      h("div", { class: "mood" }, h("strong", {}, one.mood, h("small", {}, [one.tier === "none" ? null : TIERS[one.tier], BY_HAND[one.by_hand]].filter(Boolean).join(" · "))),
        bar, h("span", { class: "amount" }, one.strength === null ? "–" : one.strength.toFixed(2)), select),
      h("details", { id: `why-${one.mood}` }, h("summary", {}, "Why", h("span", { class: "unseen" }, ` ${one.mood}`)), h("p", {}, one.because), this.#heads(one)));
  }

  #heads({ heads, mood }) {
    if (!heads.length) return null;
    return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Scores with a say in ${mood}` }, h("table", { class: "heads" },
      h("thead", {}, h("tr", {}, ...["Score", "Says", "Weight", "As heard", "Among others", "Counts as"].map((text, n) => h("th", { scope: "col", class: n > 1 ? "amount" : null }, text)))),
      h("tbody", {}, ...heads.map((head) => h("tr", {},
        h("th", { scope: "row", title: `${head.pack}, ${head.head}` }, head.name), h("td", {}, head.says), h("td", { class: "amount" }, head.weight),
        h("td", { class: "amount", title: `± ${head.spread.toFixed(3)} over the track` }, head.raw.toFixed(3)),
        h("td", { class: "amount", title: `5 % lie below ${head.p5.toFixed(3)}, 95 % below ${head.p95.toFixed(3)} (${head.percentiles_from})` }, head.percentile === null ? "–" : `above ${percent(head.percentile / 100)}`),
        h("td", { class: "amount" }, head.calibrated.toFixed(2)))))));
  }

  #settle(mood, tier) {
    const path = `/api/web/files/${this.track.id}/moods/${mood}`;
    return this.#tell(tier ? api.put(path, { tier }) : api.delete(path));
  }

  #lock(isLocked) {
    return this.#tell(api.post("/api/web/moods/corrections", { file_ids: [this.track.id], locked: isLocked }));
  }

  async #leave({ moods, locked }) {
    const count = moods.filter((one) => ["set", "removed"].includes(one.by_hand)).length;
    const parts = [count ? `${count} of your corrections ${count === 1 ? "is" : "are"} forgotten` : null, locked ? "the lock is taken off" : null].filter(Boolean);
    const name = this.track.title ?? fileName(this.track.path);
    if (await ask({ title: "Leave it to the models?", text: `${name}: ${parts.join(" and ")}.`, action: "Leave it to them" })) {
      await this.#tell(api.delete(`/api/web/files/${this.track.id}/correction`));
    }
  }

  /** What was refused goes back to what holds. */
  async #tell(answer) {
    await answer.catch(showError);
    this.dispatchEvent(new Event("corrected"));
  }
});

export const moodEditor = () => document.createElement("nom-mood-editor");
