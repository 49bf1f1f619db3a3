// <nom-empty heading="No library yet" text="..." action="Add one" to="/welcome">: nothing here, and what to do about it.
import { h, href, icon } from "../dom.js";

customElements.define("nom-empty", class extends HTMLElement {
  connectedCallback() {
    const { heading, text, action, to, icon: name = "note" } = Object.fromEntries([...this.attributes].map((a) => [a.name, a.value]));
    this.replaceChildren(icon(name), h("p", { class: "heading" }, heading), ...(text ? [h("p", { class: "soft" }, text)] : []),
      ...(to ? [h("a", { class: "button main", href: href(to) }, action)] : []));
  }
});

export const empty = (attributes) => h("nom-empty", attributes);
