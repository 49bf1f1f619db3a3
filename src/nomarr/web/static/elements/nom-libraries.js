// <nom-libraries>: which library a page is about, or all of them. The page's address holds it as `library_id`, `value`
// is that id or "", and "change" tells of another choice. With fewer than two libraries there is nothing to choose.
import { api } from "../api.js";
import { h } from "../dom.js";

customElements.define("nom-libraries", class extends HTMLElement {
  get value() {
    return new URL(location).searchParams.get("library_id") ?? "";
  }

  async connectedCallback() {
    this.list = h("select", { "aria-label": "Library", hidden: true, onchange: () => this.choose() });
    this.replaceChildren(this.list);
    addEventListener("popstate", () => {
      this.list.value = this.value;
      this.tell();
    });
    const libraries = await api.get("/api/web/libraries");
    this.list.replaceChildren(h("option", { value: "" }, "All libraries"), ...libraries.map(({ id, name }) => h("option", { value: id }, name)));
    this.list.value = this.value;
    this.list.hidden = libraries.length < 2 && !this.value;
  }

  choose() {
    const address = new URL(location);
    if (this.list.value) address.searchParams.set("library_id", this.list.value);
    else address.searchParams.delete("library_id");
    history.pushState(null, "", address);
    this.tell();
  }

  tell() {
    this.dispatchEvent(new Event("change"));
  }
});
