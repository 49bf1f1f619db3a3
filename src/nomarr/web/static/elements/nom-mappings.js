// <nom-mappings>: the paths by which other programs know the music; adding, removing, and trying one.
import { api } from "../api.js";
import { h } from "../dom.js";
import { ask } from "./nom-confirm.js";
import { toast } from "./nom-toasts.js";

const SOURCES = { lidarr: "Lidarr", api: "Programs with an API key", "*": "All of them" };
const FOUND = {
  found: "It is there, and would be heard",
  not_found: "It leads into a library, but there is no such file",
  unmapped: "Nothing is known by this path",
  outside_library: "It leads out of all libraries that are switched on",
  unsupported: "It is there, but no audio that Nomarr takes",
};

const choose = (label) => h("label", {}, label, h("select", { name: "source" }, ...Object.entries(SOURCES).map(([value, text]) => h("option", { value }, text))));
const entry = (label, name, placeholder) => h("label", {}, label, h("input", { name, placeholder, maxlength: "2000", autocomplete: "off", spellcheck: "false" }));

function form(onsubmit, ...children) {
  return h("form", { class: "fields", novalidate: true, onsubmit: (event) => {
    event.preventDefault();
    onsubmit();
  } }, ...children);
}

customElements.define("nom-mappings", class extends HTMLElement {
  mappings = [];

  connectedCallback() {
    this.list = h("div", { class: "scroll" });
    this.problem = h("p", { class: "problem", role: "alert" });
    this.tested = h("div", { class: "stack", role: "status" });
    this.adding = form(() => this.#add(), choose("Said by"), entry("Begins there with", "from_prefix", "/data/media/music"), entry("And here with", "to_prefix", "/music"),
      h("button", { type: "submit", class: "main" }, "Add"));
    this.testing = form(() => this.#test(), choose("Said by"), entry("A path, as it is there", "path", "/data/media/music/Artist/Album/Track.flac"), h("button", { type: "submit" }, "Test"));
    this.replaceChildren(h("section", { class: "stack", "aria-labelledby": "mappings-title" }, h("h3", { id: "mappings-title" }, "Path mappings"),
      h("p", { class: "soft about" }, "Needed only where Lidarr or another program sees the music under another path than Nomarr. Where several fit, the longest counts."),
      this.list, this.adding, this.problem, h("h4", {}, "Try a path"), this.testing, this.tested));
  }

  async show() {
    this.#draw((await api.get("/api/web/path-mappings")).mappings);
  }

  #draw(mappings) {
    this.mappings = mappings;
    this.list.replaceChildren(mappings.length ? h("table", {}, h("caption", { class: "unseen" }, "Path mappings"),
      h("thead", {}, h("tr", {}, ...["Said by", "Begins there with", "And here with"].map((text) => h("th", { scope: "col" }, text)), h("td", {}))),
      h("tbody", {}, ...mappings.map((one) => h("tr", {}, h("td", {}, SOURCES[one.source]), h("td", { class: "path" }, one.from_prefix), h("td", { class: "path" }, one.to_prefix),
        h("td", { class: "amount" }, h("button", { type: "button", "aria-label": `Remove ${one.from_prefix}`, onclick: () => this.#remove(one) }, "Remove"))))))
      : h("p", { class: "soft" }, "None: paths are taken as they are said."));
  }

  async #put(mappings) {
    this.#draw((await api.put("/api/web/path-mappings", { mappings })).mappings);
  }

  async #add() {
    const { source, from_prefix: from, to_prefix: to } = this.adding.elements;
    try {
      await this.#put([...this.mappings, { source: source.value, from_prefix: from.value, to_prefix: to.value }]);
      this.problem.textContent = "";
      this.adding.reset();
      toast("The mapping was added");
      if (this.testing.elements.path.value) await this.#test();
    } catch (error) {
      this.problem.textContent = error.message;
      from.focus();
    }
  }

  async #remove(mapping) {
    if (!(await ask({ title: "Remove this mapping?", text: `Paths that begin with ${mapping.from_prefix} are taken as they are said from then on. Files and results stay as they are.`, action: "Remove it" }))) return;
    await this.#put(this.mappings.filter((one) => one !== mapping));
    this.adding.elements.from_prefix.focus();
  }

  async #test() {
    const { source, path } = this.testing.elements;
    try {
      const found = await api.post("/api/web/path-mappings/test", { source: source.value, path: path.value });
      this.tested.replaceChildren(...this.#shown(found, source.value));
    } catch (error) {
      this.tested.replaceChildren(h("p", { class: "problem" }, error.message));
    }
  }

  #shown({ status, mapped, suggestion }, source) {
    return [h("p", { class: status === "found" ? "good" : "problem" }, FOUND[status] ?? status, mapped ? [": ", h("span", { class: "path" }, mapped)] : []),
      suggestion ? h("p", {}, "The file is here when ", h("span", { class: "path" }, suggestion.from_prefix), " means ", h("span", { class: "path" }, suggestion.to_prefix), ". ",
        h("button", { type: "button", onclick: () => this.#fill(source, suggestion) }, "Take this")) : null].filter(Boolean);
  }

  #fill(source, { from_prefix: from, to_prefix: to }) {
    Object.assign(this.adding.elements.source, { value: source });
    this.adding.elements.from_prefix.value = from;
    this.adding.elements.to_prefix.value = to;
    this.adding.querySelector("button").focus();
  }
});
