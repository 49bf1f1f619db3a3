// <nom-navidrome>: Nomarr's account there, whether it works, its configuration, and what is missing.
import { api } from "../api.js";
import { ago, h, plural } from "../dom.js";
import { copyable } from "./nom-copy.js";
import "./nom-doctor.js";
import { settings } from "./nom-setting.js";

customElements.define("nom-navidrome", class extends HTMLElement {
  known = new Map();

  connectedCallback() {
    this.account = h("div");
    this.tested = h("p", { role: "status" });
    this.waiting = h("p", { class: "soft" });
    this.tags = h("div", { class: "stack" });
    this.more = h("details", { ontoggle: () => this.more.open && this.#showTags() }, h("summary", {}, "Navidrome’s configuration"),
      h("div", { class: "stack" }, h("p", {}, "Append this to navidrome.toml (in Docker /data/navidrome.toml), restart Navidrome, and have it scan everything once. Then its smart playlists know our fields."), this.tags));
    this.replaceChildren(this.account,
      h("div", { class: "row" }, h("button", { type: "button", onclick: (event) => this.#test(event.target) }, "Test the connection"),
        h("span", { class: "hint" }, "Also tries what is entered above and not saved yet.")),
      this.tested, this.waiting, h("section", { class: "stack", "aria-labelledby": "navidrome-doctor" },
        h("h3", { id: "navidrome-doctor" }, "Something is not there?"), document.createElement("nom-doctor")), this.more);
    this.addEventListener("saved", () => this.show());
  }

  async show() {
    const [config, scan] = await Promise.all([api.get("/api/web/config"), api.get("/api/web/navidrome/scan")]);
    const rows = settings(config, (group) => group === "Navidrome", this.known);
    if (!this.account.children.length) this.account.append(...rows);
    this.waiting.textContent = !config.navidrome_url ? ""
      : [scan.scanned_at ? `Navidrome was last asked to scan ${ago(scan.scanned_at)}.` : "Navidrome was not asked to scan yet.",
        scan.waiting_files ? `${plural(scan.waiting_files, "written file")} not told of yet.` : "", scan.problem].filter(Boolean).join(" ");
  }

  async #test(button) {
    const body = {};
    for (const name of ["url", "user", "password"]) {
      const typed = this.known.get(`navidrome_${name}`)?.typed;
      if (typed) body[name] = typed;
    }
    await busy(button, this.tested, "Asking Navidrome …", async () => {
      const { ok, message } = await api.post("/api/web/navidrome/test", body);
      this.tested.className = ok ? "good" : "problem";
      this.tested.textContent = message;
    });
  }

  async #showTags() {
    if (this.tags.children.length) return;
    const { config } = await api.get("/api/web/navidrome/config");
    this.tags.replaceChildren(copyable(config, "Navidrome’s configuration"));
  }
});

async function busy(button, place, text, work) {
  button.disabled = true;
  place.className = "soft is-busy";
  place.textContent = text;
  try {
    await work();
  } catch (error) {
    place.className = "problem";
    place.textContent = error.message;
  } finally {
    button.disabled = false;
  }
}
