// <nom-toasts>, once in the frame: short messages. Errors stay until they are closed.
import { h, icon } from "../dom.js";

const SHOWN_MS = 6000;
const MOST = 4;

customElements.define("nom-toasts", class extends HTMLElement {
  show(text, isError) {
    for (const old of this.children) if (old.dataset.text === text) old.remove();
    const close = h("button", { type: "button", class: "quiet", "aria-label": "Close this message" }, icon("close"));
    const toast = h("div", { class: isError ? "toast is-error" : "toast", role: isError ? "alert" : "status" }, h("p", {}, text), close);
    toast.dataset.text = text;
    close.addEventListener("click", () => toast.remove());
    this.append(toast);
    if (!isError) setTimeout(() => toast.remove(), SHOWN_MS);
    while (this.children.length > MOST) this.firstElementChild.remove();
  }
});

const toasts = () => document.querySelector("nom-toasts");
export const toast = (text) => toasts().show(text, false);
export const showError = (error) => toasts().show(error.message, true);
