// <nom-config>: all that can be changed while Nomarr runs, group by group; Navidrome's account has a place of its own.
import { api } from "../api.js";
import { h } from "../dom.js";
import { settings } from "./nom-setting.js";

customElements.define("nom-config", class extends HTMLElement {
  known = new Map();

  connectedCallback() {
    this.addEventListener("saved", () => this.show());
  }

  async show() {
    const config = await api.get("/api/web/config");
    const groups = [...new Set(Object.values(config.details).map((one) => one.group))].filter((group) => group !== "Navidrome");
    if (this.known.size) return settings(config, (group) => group !== "Navidrome", this.known);
    this.replaceChildren(...groups.map((group) => {
      const id = `group-${group.toLowerCase().replaceAll(" ", "-")}`;
      return h("section", { "aria-labelledby": id }, h("h3", { id }, group), ...settings(config, (one) => one === group, this.known));
    }));
  }
});
