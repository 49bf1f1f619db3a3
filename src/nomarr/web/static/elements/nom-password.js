// <nom-password>: another password, for those who know the one that holds.
import { api } from "../api.js";
import { h } from "../dom.js";
import { toast } from "./nom-toasts.js";

const field = (name, label, autocomplete, hint = null) => {
  const id = `password-${name}`;
  return h("div", { class: "stack is-close" }, h("label", {}, label, h("input", { type: "password", name, autocomplete, maxlength: "1024", "aria-describedby": `${id}-problem${hint ? ` ${id}-hint` : ""}` })),
    hint ? h("p", { class: "hint", id: `${id}-hint` }, hint) : null, h("p", { class: "problem", role: "alert", id: `${id}-problem` }));
};

customElements.define("nom-password", class extends HTMLElement {
  connectedCallback() {
    this.form = h("form", { class: "stack is-narrow", novalidate: true, onsubmit: (event) => {
      event.preventDefault();
      this.#change();
    } },
    h("input", { name: "username", autocomplete: "username", value: "admin", hidden: true }),
    field("current_password", "Password that holds now", "current-password"),
    field("new_password", "New password", "new-password", "At least 8 characters."),
    field("again", "New password again", "new-password"),
    h("p", { class: "hint" }, "Every login ends with the change, on all devices; this one goes on. API keys stay as they are."),
    h("div", { class: "row" }, h("button", { type: "submit", class: "main" }, "Change the password")));
    this.replaceChildren(this.form);
  }

  async #change() {
    const { current_password: current, new_password: wanted, again } = this.form.elements;
    for (const text of this.form.querySelectorAll(".problem")) text.textContent = "";
    if (wanted.value !== again.value) return this.#refuse("again", "The two are not the same");
    const button = this.form.querySelector("button");
    button.disabled = true;
    try {
      await api.post("/api/web/auth/password", { current_password: current.value, new_password: wanted.value });
      this.form.reset();
      toast("The password was changed; every other login has ended");
    } catch (error) {
      const name = ["new_password", "current_password"].find((one) => error.message.startsWith(`${one}:`)) ?? "current_password";
      this.#refuse(name, error.message);
    } finally {
      button.disabled = false;
    }
  }

  #refuse(name, text) {
    this.querySelector(`#password-${name}-problem`).textContent = text;
    this.form.elements[name].focus();
  }
});
