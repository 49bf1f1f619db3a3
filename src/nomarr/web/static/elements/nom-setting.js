// <nom-setting>: one thing that can be set, with its explanation. `given` is { key, value, details } of GET
// /api/web/config; tells "saved" when it was changed. `typed` is what somebody entered and did not save yet, or null.
import { api } from "../api.js";
import { duration, h } from "../dom.js";
import { toast } from "./nom-toasts.js";

const textOf = (value) => (value === null ? "" : Array.isArray(value) ? value.join(", ") : String(value));

customElements.define("nom-setting", class extends HTMLElement {
  set given(given) {
    if (this.typed !== null) return; // not under somebody's fingers
    const hadFocus = this.contains(document.activeElement);
    Object.assign(this, given);
    this.isSaving = false;
    this.#draw();
    if (hadFocus) this.control.focus();
  }

  get typed() {
    return this.control && !this.details.locked && this.#now() !== this.shown ? this.#now() : null;
  }

  #now() {
    return this.control.type === "checkbox" ? String(this.control.checked) : this.control.value;
  }

  #control(attributes) {
    const { type, choices, allowed, locked } = this.details;
    const isMany = type === "list" && String(allowed).includes("line breaks");
    const text = type === "integer" && this.value === null ? "auto" : isMany ? this.value.join("\n") : textOf(this.value);
    if (type === "boolean") return h("input", { ...attributes, type: "checkbox", checked: this.value, disabled: locked });
    if (type === "choice") {
      return h("select", { ...attributes, disabled: locked }, ...Object.entries(choices).map(([value, means]) =>
        h("option", { value, selected: value === this.value }, `${value} – ${means}`)));
    }
    if (isMany) {
      const area = h("textarea", { ...attributes, rows: Math.min(8, Math.max(2, this.value.length)), readonly: locked, spellcheck: "false" });
      area.value = text;
      return area;
    }
    if (type === "secret") return h("input", { ...attributes, type: "password", autocomplete: "new-password", placeholder: this.value ? "It is set" : "None is set", readonly: locked });
    return h("input", { ...attributes, type: "text", value: text, readonly: locked, autocomplete: "off", spellcheck: "false", inputmode: type === "integer" ? "numeric" : null });
  }

  #draw() {
    const { title, about, allowed, choices, type, unit, locked, restart_required: waits } = this.details;
    const id = `setting-${this.key}`;
    this.control = this.#control({ id, "aria-describedby": `${id}-about ${id}-problem`, oninput: () => this.#changed(), onchange: () => this.#changed() });
    this.shown = this.#now();
    this.problem = h("p", { class: "problem", id: `${id}-problem`, role: "alert" });
    this.unitText = unit ? h("span", { class: "soft unit" }) : null;
    const hint = Object.keys(choices).length || ["path", "secret"].includes(type) ? "" : `${allowed[0].toUpperCase()}${allowed.slice(1)}.`;
    this.form = h("form", { novalidate: true, class: type === "boolean" ? "is-box" : null, onsubmit: (event) => {
      event.preventDefault();
      if (this.typed !== null && !this.isSaving) this.#save(this.typed);
    } },
    type === "secret" ? h("input", { name: "username", autocomplete: "username", value: this.key, hidden: true }) : null, // browsers ask for one
    h("div", { class: "words", id: `${id}-about` }, h("p", {}, about), hint || waits ? h("p", { class: "hint" }, hint, waits ? [" ", h("strong", {}, "Holds after a restart"), ", which ", h("a", { href: "#workers" }, "Workers"), " offers."] : null) : null, this.#origin()),
    h("div", { class: "entry" }, this.control, this.unitText, locked ? null : h("button", { type: "submit", class: "main", "aria-label": `Save: ${title}` }, "Save")),
    this.problem);
    this.replaceChildren(h("label", { for: id }, title), this.form);
    this.#changed();
  }

  /** Who decides, and how it can be taken back. */
  #origin() {
    const { locked, locked_by: by, changed, default: usual, type } = this.details;
    if (by === "read-only") return h("p", { class: "hint" }, "It cannot be changed while Nomarr runs; set it in the environment or in nomarr.yaml.");
    if (locked) return h("p", { class: "lock hint" }, "Decided by ", h("code", {}, by), " in the environment, or on the command line; change it there.");
    if (!changed) return null;
    const words = type === "secret" ? "Forget it" : `Back to ${usual === true ? "on" : usual === false ? "off" : type === "integer" && usual === null ? "auto" : textOf(usual) || "nothing"}`;
    return h("p", { class: "hint" }, "It was set here. ", h("button", { type: "button", class: "quiet link", "aria-label": `${this.details.title}: ${words}`, onclick: () => this.#save(null) }, words));
  }

  #changed() {
    this.classList.toggle("is-dirty", this.typed !== null);
    if (this.unitText) {
      const { unit } = this.details, text = this.#now();
      this.unitText.textContent = unit === "seconds" && /^\d+$/.test(text) ? `${unit} = ${duration(Number(text))}` : unit;
    }
  }

  async #save(value) {
    this.isSaving = true;
    this.form.setAttribute("aria-busy", "true");
    try {
      const done = await api.post("/api/web/config", { key: this.key, value });
      this.control.removeAttribute("aria-invalid");
      this.problem.textContent = "";
      this.shown = this.#now(); // nothing is unsaved any more
      toast(`${this.details.title}: saved` + (done.restart_required ? "; it holds after a restart, which Workers offers" : ""));
      this.dispatchEvent(new Event("saved", { bubbles: true }));
    } catch (error) {
      if (error.status === 401) throw error;
      this.control.setAttribute("aria-invalid", "true");
      this.problem.textContent = error.message;
      this.control.focus();
    } finally {
      this.isSaving = false;
      this.form.removeAttribute("aria-busy");
    }
  }
});

/** Elements for the settings of some groups, in order; those that are there already are kept. */
export function settings(config, isWanted, known = new Map()) {
  return Object.entries(config.details).filter(([, details]) => isWanted(details.group)).map(([key, details]) => {
    if (!known.has(key)) known.set(key, document.createElement("nom-setting"));
    known.get(key).given = { key, value: config[key], details };
    return known.get(key);
  });
}
