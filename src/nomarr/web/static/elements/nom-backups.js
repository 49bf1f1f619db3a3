// <nom-backups>: which backups of the database there are, whether they are made, and another one now.
import { api } from "../api.js";
import { ago, h, href, number } from "../dom.js";
import { toast } from "./nom-toasts.js";

const STATES = { ok: "In order", running: "Being made", failed: "Failed", off: "Not on time", elsewhere: "By PostgreSQL’s own tools" };
const size = (bytes) => (bytes < 2 ** 30 ? `${number(bytes / 2 ** 20, 1)} MB` : `${number(bytes / 2 ** 30, 2)} GB`);

customElements.define("nom-backups", class extends HTMLElement {
  connectedCallback() {
    this.state = h("div", { class: "stack is-close", role: "status" });
    this.make = h("button", { type: "button", class: "main", disabled: true, onclick: () => this.#make() }, "Back up now");
    this.list = h("div", { class: "scroll" });
    this.replaceChildren(this.state, h("div", { class: "row" }, this.make), this.list,
      h("p", { class: "hint" }, "How often, and how many are kept, stands under ", h("a", { href: "#general" }, "General"),
        ". A backup comes back with “nomarr restore” and its name. Keep a downloaded one as you keep your passwords: it holds what logins are compared with."));
  }

  async show() {
    const { state, about, problem, next_at: next, backups } = await api.get("/api/web/backups");
    if (this.wasRunning && state !== "running") toast(state === "failed" ? "The backup failed" : "The backup is made");
    this.wasRunning = state === "running";
    this.make.disabled = this.wasRunning || state === "elsewhere";
    const coming = next && !this.wasRunning ? `The next one is made ${Date.parse(next) <= Date.now() ? "within a minute" : `on ${new Date(next).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" })}`}.` : "";
    this.state.replaceChildren(h("p", {}, h("span", { class: `badge is-${state}` }, STATES[state] ?? state)), h("p", {}, `${about} ${coming}`), problem ? h("p", { class: "problem" }, problem) : "");
    this.list.replaceChildren(backups.length ? table(backups) : h("p", { class: "soft" }, state === "elsewhere" ? "" : "None yet."));
    clearTimeout(this.timer);
    if (this.wasRunning) this.timer = setTimeout(() => this.show(), 1000);
  }

  hide() {
    clearTimeout(this.timer);
  }

  async #make() {
    this.make.disabled = true;
    try {
      await api.post("/api/web/backups");
      this.wasRunning = true;
    } finally {
      await this.show();
    }
  }
});

function table(backups) {
  return h("table", {}, h("caption", { class: "unseen" }, "Backups"),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Made"), h("th", { scope: "col" }, "Name"), h("th", { scope: "col", class: "amount" }, "Size"), h("th", { scope: "col" }, "Files"))),
    h("tbody", {}, ...backups.map((one) => h("tr", {}, h("td", {}, h("time", { datetime: one.made_at, title: one.made_at }, ago(one.made_at))), h("th", { scope: "row", class: "path" }, one.name),
      h("td", { class: "amount" }, size(one.size_bytes)),
      h("td", {}, ...one.files.flatMap((file, n) => [n ? h("br") : null, h("a", { href: href(`/api/web/backups/${encodeURIComponent(file)}`), download: file }, /-patches\.db$/.test(file) ? "patch embeddings" : "database")]))))));
}
