// <nom-keys>: the API keys; making one, which is shown this once, and taking one back.
import { api } from "../api.js";
import { ago, h, number } from "../dom.js";
import { ask } from "./nom-confirm.js";
import { copyable } from "./nom-copy.js";
import { toast } from "./nom-toasts.js";

export const SCOPES = {
  enqueue: "scan and hear music",
  read: "only look",
  admin: "everything",
};

customElements.define("nom-keys", class extends HTMLElement {
  connectedCallback() {
    this.made = h("div", { "aria-live": "polite" });
    this.problem = h("p", { class: "problem", role: "alert" });
    this.list = h("div", { class: "scroll key-list" });
    this.form = h("form", { class: "fields", novalidate: true, onsubmit: (event) => {
      event.preventDefault();
      this.#make();
    } },
    h("label", {}, "For which program", h("input", { name: "name", maxlength: "200", autocomplete: "off", placeholder: "Lidarr" })),
    h("label", {}, "It may", h("select", { name: "scope" }, ...Object.entries(SCOPES).map(([value, text]) => h("option", { value }, `${value} – ${text}`)))),
    h("button", { type: "submit", class: "main" }, "Make a key"));
    this.replaceChildren(this.form, this.problem, this.made, this.list);
  }

  async show() {
    const keys = await api.get("/api/web/keys");
    this.list.replaceChildren(keys.length ? this.#table(keys) : h("p", { class: "soft" }, "No key yet. Besides these there is the one that “nomarr key show” prints, which may do everything."));
  }

  #table(keys) {
    return h("table", {}, h("caption", { class: "unseen" }, `${number(keys.length)} API keys`),
      h("thead", {}, h("tr", {}, ...["Name", "May", "Made", "Last used"].map((text) => h("th", { scope: "col" }, text)), h("td", {}))),
      h("tbody", {}, ...keys.map((key) => h("tr", {}, h("th", { scope: "row" }, key.name), h("td", {}, key.scope),
        h("td", {}, h("time", { datetime: key.created_at }, ago(key.created_at))),
        h("td", {}, key.last_used_at ? h("time", { datetime: key.last_used_at }, ago(key.last_used_at)) : "never"),
        h("td", { class: "amount" }, h("button", { type: "button", "aria-label": `Revoke ${key.name}`, onclick: () => this.#revoke(key) }, "Revoke"))))));
  }

  async #make() {
    const button = this.form.querySelector("button");
    button.disabled = true;
    try {
      const { name, scope } = this.form.elements;
      const made = await api.post("/api/web/keys", { name: name.value, scope: scope.value });
      this.problem.textContent = "";
      this.form.reset();
      this.made.replaceChildren(shownOnce(made));
      this.made.firstElementChild.focus();
      await this.show();
    } catch (error) {
      this.problem.textContent = error.message;
      this.form.elements.name.focus();
    } finally {
      button.disabled = false;
    }
  }

  async #revoke(key) {
    const used = key.last_used_at ? `It was last used ${ago(key.last_used_at)}.` : "It was never used.";
    if (!(await ask({ title: `Revoke the key of ${key.name}?`, text: `1 program loses its way in at once, and needs another key. ${used} This cannot be undone.`, action: "Revoke it" }))) return;
    await api.delete(`/api/web/keys/${key.id}`);
    this.made.replaceChildren();
    toast(`The key of ${key.name} opens nothing any more`);
    await this.show();
    this.form.elements.name.focus();
  }
});

export const shownOnce = (made) => h("div", { class: "made stack", tabindex: "-1", role: "group", "aria-label": `The key for ${made.name}` },
  h("p", {}, h("strong", {}, `The key for ${made.name}. `), "Copy it now: Nomarr keeps only its fingerprint, and never shows it again."),
  copyable(made.key, `the key for ${made.name}`));
