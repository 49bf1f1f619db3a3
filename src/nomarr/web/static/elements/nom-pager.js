// <nom-pager total="18432" limit="50" offset="0">: links to the pages of a list, by `offset` in the page's own address.
// A page that listens to "page" (detail.offset) and calls preventDefault() changes its list without loading anew.
import { h, number } from "../dom.js";

customElements.define("nom-pager", class extends HTMLElement {
  static observedAttributes = ["total", "limit", "offset"];

  connectedCallback() {
    this.show();
  }

  attributeChangedCallback() {
    if (this.isConnected) this.show();
  }

  show() {
    const [total, limit, offset] = ["total", "limit", "offset"].map((name) => Number(this.getAttribute(name)));
    const last = Math.max(0, Math.floor((total - 1) / limit) * limit);
    const shown = total ? `${number(offset + 1)}–${number(Math.min(total, offset + limit))} of ${number(total)}` : "";
    const links = [["First", 0, offset > 0], ["Previous", offset - limit, offset > 0],
      ["Next", offset + limit, offset < last], ["Last", last, offset < last]];
    this.replaceChildren(h("nav", { class: "row", "aria-label": "Pages of the list", hidden: total <= limit },
      ...links.slice(0, 2).map((link) => this.link(...link)), h("span", { class: "soft", role: "status" }, shown),
      ...links.slice(2).map((link) => this.link(...link))));
  }

  link(text, offset, isThere) {
    if (!isThere) return h("span", { class: "button is-off", "aria-hidden": "true" }, text);
    const address = new URL(location);
    address.searchParams.set("offset", Math.max(0, offset));
    return h("a", { class: "button", href: address, onclick: (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      const asked = new CustomEvent("page", { detail: { offset: Math.max(0, offset) }, bubbles: true, cancelable: true });
      if (!this.dispatchEvent(asked)) event.preventDefault();
    } }, text);
  }
});
