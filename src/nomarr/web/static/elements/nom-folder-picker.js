// <nom-folder-picker>: goes through the server's folders. `value` is the chosen path, "" without one; tells "change".
import { api } from "../api.js";
import { h, icon } from "../dom.js";
import { showError } from "./nom-toasts.js";

customElements.define("nom-folder-picker", class extends HTMLElement {
  value = "";

  connectedCallback() {
    this.path = h("output", { class: "path" });
    this.up = h("button", { type: "button", class: "quiet", "aria-label": "One folder up", disabled: true, onclick: () => this.go(this.parent) }, icon("up"));
    this.list = h("ul", { class: "folders", "aria-label": "Folders" });
    this.note = h("p", { class: "hint", role: "status" });
    this.replaceChildren(h("div", { class: "row" }, this.up, this.path), this.list, this.note);
    this.go(null);
  }

  async go(path) {
    let listing;
    try {
      listing = await api.get("/api/web/fs/list", { path });
    } catch (error) {
      showError(error);
      return;
    }
    const had = this.contains(document.activeElement);
    this.value = listing.path ?? "";
    this.parent = listing.parent;
    this.path.textContent = this.value || "Where is your music?";
    this.up.disabled = !this.value;
    this.list.replaceChildren(...listing.folders.map((folder) => this.item(folder)));
    this.note.textContent = listing.truncated ? "There are more folders than are shown here."
      : listing.folders.length ? (this.value ? "" : "It lies elsewhere? The setting browse_roots says where Nomarr may look.") : this.value ? "No folders in here." : "There is no folder that Nomarr may look into; the setting browse_roots says which.";
    if (had) (this.list.querySelector("button:enabled") ?? this.up).focus();
    this.dispatchEvent(new Event("change", { bubbles: true }));
  }

  item({ name, path, is_readable: isReadable }) {
    return h("li", {}, h("button", { type: "button", class: "folder", disabled: !isReadable, onclick: () => this.go(path) },
      icon("folder"), h("span", {}, name), isReadable ? null : h("small", {}, "cannot be read")));
  }
});
