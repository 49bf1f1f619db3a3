// <nom-confirm>, once in the frame: the one question before anything is destroyed.
//   if (await ask({ title: "Forget this library?", text: "18,432 tracks ... The files stay.", action: "Forget it" })) ...
// With `option`, the text of a box to tick, a yes is { isChosen }.
import { h } from "../dom.js";

customElements.define("nom-confirm", class extends HTMLElement {
  connectedCallback() {
    this.heading = h("h2", { id: "confirm-title" });
    this.text = h("p", { id: "confirm-text" });
    this.box = h("input", { type: "checkbox" });
    this.optionText = h("span");
    this.option = h("label", { class: "choice" }, this.box, this.optionText);
    this.no = h("button", { type: "submit", value: "" }, "Cancel");
    this.yes = h("button", { type: "submit", value: "yes" });
    this.dialog = h("dialog", { "aria-labelledby": "confirm-title", "aria-describedby": "confirm-text" },
      h("form", { method: "dialog", class: "stack" }, this.heading, this.text, this.option, h("div", { class: "row end" }, this.no, this.yes)));
    this.append(this.dialog);
  }

  ask({ title, text, action, option = null, isHarmless = false }) {
    this.optionText.textContent = option ?? "";
    this.option.hidden = !option;
    this.box.checked = false;
    this.heading.textContent = title;
    this.text.textContent = text;
    this.yes.textContent = action;
    this.yes.className = isHarmless ? "main" : "danger";
    this.dialog.returnValue = "";
    this.dialog.showModal();
    this.no.focus();
    return new Promise((resolve) =>
      this.dialog.addEventListener("close", () => {
        const isYes = this.dialog.returnValue === "yes";
        resolve(isYes && option ? { isChosen: this.box.checked } : isYes);
      }, { once: true }));
  }
});

/** Whether somebody really wants it. `text` says what happens, to how many, and whether it can be undone. */
export const ask = (question) => document.querySelector("nom-confirm").ask(question);
