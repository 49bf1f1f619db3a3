// <nom-doctor>: why Navidrome does not show what it should, step by step, with what was seen.
import { api } from "../api.js";
import { h, icon } from "../dom.js";
import { showError } from "./nom-toasts.js";

const STEPS = {
  connection: "Navidrome answers", files: "Files hold Nomarr’s tags", libraries: "Both know the same files",
  config: "Navidrome’s configuration names the fields", tags: "Navidrome reads the tags", fields: "Its database holds them",
  scan: "It was told of what was written", playlists: "Pushed playlists are there",
};
const VERDICTS = { ok: "in order", warning: "look at this", missing: "missing", unknown: "cannot be seen" };

customElements.define("nom-doctor", class extends HTMLElement {
  connectedCallback() {
    this.button = h("button", { type: "button", onclick: () => this.examine() }, "Examine it");
    this.note = h("p", { class: "hint", role: "status" }, "Looks only, changes nothing. Takes some seconds for every ten thousand tracks.");
    this.list = h("ol", { class: "findings" });
    this.replaceChildren(h("div", { class: "row" }, this.button, this.note), this.list);
  }

  async examine() {
    this.button.disabled = true;
    this.note.textContent = "Looking, one step after the other …";
    try {
      const { healthy, steps } = await api.post("/api/web/navidrome/doctor");
      this.note.textContent = healthy ? "All is in order." : "Begin with the first step that is not in order.";
      this.list.replaceChildren(...steps.map(finding), ...this.left(steps));
    } catch (error) {
      this.note.textContent = "";
      showError(error);
    } finally {
      this.button.disabled = false;
    }
  }

  /** The steps that make no sense before an earlier one is in order. */
  left(steps) {
    const seen = new Set(steps.map((step) => step.name));
    return Object.entries(STEPS).filter(([name]) => !seen.has(name)).map(([, title]) =>
      h("li", { class: "is-left" }, h("span", { class: "verdict" }), h("div", {}, h("h3", {}, title), h("p", {}, "Not looked at: an earlier step comes first"))));
  }
});

function finding({ name, verdict, evidence, advice }) {
  return h("li", { class: `is-${verdict}` }, h("span", { class: "verdict" }, verdict === "unknown" ? "?" : icon(verdict === "ok" ? "check" : "warning")),
    h("div", {}, h("h3", {}, STEPS[name] ?? name, " ", h("small", {}, VERDICTS[verdict])), h("p", {}, evidence), advice ? h("p", {}, h("strong", {}, "To do: "), advice) : null));
}
