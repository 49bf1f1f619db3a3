// <nom-theme>: a button that goes from the system's theme to light, to dark, and back.
import { h, icon } from "../dom.js";

const NEXT = { "": "light", light: "dark", dark: "" };
const NAMES = { "": "System’s theme", light: "Light theme", dark: "Dark theme" };
const ICONS = { "": "auto", light: "sun", dark: "moon" };

customElements.define("nom-theme", class extends HTMLElement {
  connectedCallback() {
    this.button = h("button", { type: "button", class: "quiet", onclick: () => this.turn() });
    this.append(this.button);
    this.show();
  }

  turn() {
    const theme = NEXT[document.documentElement.dataset.theme ?? ""];
    document.documentElement.dataset.theme = theme;
    try {
      localStorage.setItem("nomarr-theme", theme);
    } catch { /* it holds for this page, then */ }
    this.show();
  }

  show() {
    const theme = document.documentElement.dataset.theme ?? "";
    this.button.replaceChildren(icon(ICONS[theme]), h("span", {}, NAMES[theme]));
    this.button.title = NAMES[theme];
  }
});
