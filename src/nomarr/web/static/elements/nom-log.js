// <nom-log>: the last lines of the log, from a level on; the newest first.
import { api } from "../api.js";
import { h } from "../dom.js";

const LEVELS = { debug: "Everything", info: "What happens", warning: "Warnings and errors", error: "Errors" };
const LIMIT = 200;
const LOOKS_MS = 5000;
const times = new Intl.DateTimeFormat("en-GB", { month: "short", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit" });

customElements.define("nom-log", class extends HTMLElement {
  connectedCallback() {
    this.level = h("select", { onchange: () => this.#show() }, ...Object.entries(LEVELS).map(([value, text]) => h("option", { value, selected: value === "info" }, text)));
    this.keepsUp = h("input", { type: "checkbox", checked: true });
    this.lines = h("ol", { class: "log-lines", tabindex: "0", "aria-label": "Lines of the log" });
    this.replaceChildren(h("div", { class: "fields" }, h("label", {}, "Show", this.level), h("label", { class: "choice" }, this.keepsUp, h("span", {}, "Keep up with new lines"))),
      h("p", { class: "hint" }, `The last ${LIMIT} lines. More is in what the process prints: “docker logs”, or the journal.`), this.lines);
  }

  async show() {
    this.timer ??= setInterval(() => document.hidden || !this.keepsUp.checked || this.#show(), LOOKS_MS);
    await this.#show();
  }

  hide() {
    clearInterval(this.timer);
    this.timer = null;
  }

  async #show() {
    const lines = await api.get("/api/web/system/logs", { level: this.level.value, limit: LIMIT });
    const shown = JSON.stringify(lines);
    if (shown === this.shown || (this.shown && this.contains(getSelection().anchorNode) && !getSelection().isCollapsed)) return; // or what is being copied
    this.shown = shown;
    this.lines.replaceChildren(...(lines.length ? lines.reverse().map((line) => h("li", {},
      h("time", { datetime: line.time, class: "soft" }, times.format(new Date(line.time))), h("span", { class: `badge is-${line.level}` }, line.level), h("span", { class: "path" }, line.message)))
      : [h("li", {}, h("span", { class: "soft" }, "Nothing of this kind was said."))]));
  }
});
