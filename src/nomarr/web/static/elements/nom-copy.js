// <nom-copy> by copyable(text, label): a text to be pasted elsewhere, with a button that copies it.
import { h } from "../dom.js";
import { toast } from "./nom-toasts.js";

customElements.define("nom-copy", class extends HTMLElement {
  set text(text) {
    const code = h("code", { tabindex: "0", "aria-label": this.getAttribute("label"), role: "textbox", "aria-readonly": "true" }, text);
    const isLong = text.includes("\n");
    this.classList.toggle("is-long", isLong);
    this.replaceChildren(isLong ? h("pre", {}, code) : code,
      h("button", { type: "button", "aria-label": `Copy ${this.getAttribute("label")}`, onclick: () => this.#copy(text, code) }, "Copy"));
  }

  get text() {
    return this.querySelector("code").textContent;
  }

  async #copy(text, code) {
    try {
      await navigator.clipboard.writeText(text);
    } catch { // without HTTPS there is no clipboard; a selection can be copied all the same
      getSelection().selectAllChildren(code);
      if (!document.execCommand("copy")) return toast("It is selected; copy it with the keyboard");
    }
    toast(`Copied: ${this.getAttribute("label")}`);
  }
});

export function copyable(text, label) {
  const element = h("nom-copy", { label, role: "group", "aria-label": `To copy: ${label}` });
  element.text = text;
  return element;
}
