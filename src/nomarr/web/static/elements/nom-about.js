// <nom-about>: which Nomarr this is, and which models it hears with.
import { api } from "../api.js";
import { duration, h, href, plural } from "../dom.js";

customElements.define("nom-about", class extends HTMLElement {
  async show() {
    const { version, uptime_s: uptime, models } = await api.get("/api/web/info");
    const facts = { "Version": version, "Running for": duration(uptime), "Suite": models.suite ?? "none" };
    this.replaceChildren(h("dl", { class: "facts" }, ...Object.entries(facts).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
      h("p", { class: "hint" }, "The suite is the fingerprint of all models together, the same on every machine. Another suite means that music is heard again."),
      h("p", {}, "Nomarr is free software under the GNU General Public License, version 3 or later. ", h("a", { href: href("/docs") }, "All that its API can do")),
      h("section", { class: "stack", "aria-labelledby": "models-title" }, h("h3", { id: "models-title" }, "Models"),
        ...models.problems.map((text) => h("p", { class: "problem" }, text)),
        models.packs.length ? h("ul", { class: "stack packs" }, ...models.packs.map(pack))
          : h("p", { class: "soft" }, "None are installed: run “nomarr models pull”, or say where they are with NOMARR_MODELS_DIR.")));
  }
});

function pack({ name, title, licence, source, fingerprint, heads }) {
  return h("li", {}, h("h4", {}, title), h("dl", { class: "entries" }, ...[["Name", h("code", {}, name)], ["Licence", licence],
    ["From", /^https?:/.test(source) ? h("a", { href: source, rel: "noreferrer", target: "_blank" }, source) : source], ["Fingerprint of its weights", h("code", {}, fingerprint)],
    ["Scores", h("details", {}, h("summary", {}, plural(heads.length, "score")), h("p", { class: "soft" }, heads.join(", ")))]]
    .map(([term, what]) => h("div", {}, h("dt", {}, term), h("dd", {}, what || "–")))));
}
