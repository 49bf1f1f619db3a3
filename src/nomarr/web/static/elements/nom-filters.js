// <nom-filters>: which tracks are looked for. They are the page's own address, by the names of GET /api/web/files:
// `query` is what to ask for, go({ sort: "title", offset: null }) changes it, and "filter" is told whenever it changed.
// Whatever is asked for beyond order and page is a chip that can be taken away.
import { api } from "../api.js";
import { h, href, icon } from "../dom.js";
import { chip as moodChip } from "./nom-moods.js";

const MANY = ["tag", "library_id"];
const NAMES = ["q", "artist", "album", ...MANY, "own_tag", "year", "genre", "format", "minutes", "status", "sort", "offset"];
const WAIT_MS = 300; // for somebody who types
const STATES = { pending: "Waiting to be heard", running: "Being heard", done: "Heard", errors: "With problems", missing: "Missing", unwritten: "Not in the file yet",
  analysed: "Heard", tagged: "With tags in the file", failed: "Set aside" };
const OFFERED = ["done", "pending", "running", "unwritten", "tagged", "errors", "missing"];
const ORDERS = { path: "Folder and file", title: "Title", artist: "Artist", album: "Album", "-added": "Added last", "-analyzed": "Heard last" };
const TIERS = { mood: "", "mood-strict": "clearly ", "mood-regular": "at least rather ", "mood-loose": "at least a little " };

customElements.define("nom-filters", class extends HTMLElement {
  #libraries = [];
  #timer = null;

  connectedCallback() {
    this.namespace = this.closest("[data-namespace]").dataset.namespace;
    this.words = h("input", { type: "search", name: "q", maxlength: "200", placeholder: "Title, artist, album or file name", autocomplete: "off", oninput: () => this.#type() });
    const select = (name, options, change) => h("select", { name, onchange: (event) => change(event.target.value) }, ...options);
    this.mood = select("mood", [h("option", { value: "" }, "Any")], (value) => value && this.add("tag", value));
    this.state = select("status", [h("option", { value: "" }, "Any"), ...OFFERED.map((one) => h("option", { value: one }, STATES[one]))], (value) => this.go({ status: value || null, offset: null }));
    this.library = select("library_id", [], (value) => this.go({ library_id: value || null, offset: null }));
    this.order = select("sort", Object.entries(ORDERS).map(([value, text]) => h("option", { value }, text)), (value) => this.go({ sort: value === "path" ? null : value, offset: null }));
    this.ofLibrary = h("label", {}, "Library", this.library);
    this.chips = h("ul", { class: "row chips", "aria-label": "Filters" });
    this.append(
      h("form", { class: "look", role: "search", onsubmit: (event) => { event.preventDefault(); this.#type(0); } },
        h("label", { class: "words" }, "Search", this.words), h("label", {}, "Mood", this.mood), h("label", {}, "State", this.state), this.ofLibrary, h("label", {}, "Order", this.order)),
      h("details", { ontoggle: () => this.#offer() }, h("summary", {}, "More filters"), this.#byScore(), this.#byTag()), this.chips);
    this.#show();
    this.#listMoods();
    addEventListener("popstate", () => this.#changed());
  }

  get #given() {
    return new URL(location).searchParams;
  }

  get query() {
    return Object.fromEntries(NAMES.filter((name) => this.#given.has(name)).map((name) => [name, MANY.includes(name) ? this.#given.getAll(name) : this.#given.get(name)]));
  }

  get hasAny() {
    return NAMES.slice(0, -2).some((name) => this.#given.has(name) && (name !== "q" || this.#given.get("q")));
  }

  set libraries(libraries) {
    const text = JSON.stringify(libraries.map(({ id, name }) => [id, name]));
    if (text === JSON.stringify(this.#libraries.map(({ id, name }) => [id, name]))) return;
    this.#libraries = libraries;
    this.library.replaceChildren(h("option", { value: "" }, "All"), ...libraries.map((one) => h("option", { value: one.id }, one.name)));
    this.ofLibrary.hidden = libraries.length < 2;
    this.#show();
  }

  /** null takes a name away. */
  go(change, { isTyping = false } = {}) {
    const address = new URL(location);
    for (const [name, value] of Object.entries(change)) {
      address.searchParams.delete(name);
      for (const one of value === null ? [] : [value].flat()) address.searchParams.append(name, one);
    }
    if (address.href !== location.href) history[isTyping ? "replaceState" : "pushState"](null, "", address);
    this.#changed();
  }

  add(name, value) {
    this.go({ [name]: [...new Set([...this.#given.getAll(name), value])], offset: null });
  }

  forget(name, value) {
    const left = this.#given.getAll(name).filter((one) => one !== value);
    this.go({ [name]: left.length ? left : null, offset: null });
  }

  #type(wait = WAIT_MS) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.go({ q: this.words.value.trim() || null, offset: null }, { isTyping: true }), wait);
  }

  #changed() {
    this.#show();
    this.dispatchEvent(new Event("filter"));
  }

  #show() {
    const { query } = this;
    if (this.words !== document.activeElement) this.words.value = query.q ?? "";
    this.mood.value = "";
    this.state.value = OFFERED.includes(query.status) ? query.status : "";
    this.library.value = query.library_id?.length === 1 ? query.library_id[0] : "";
    if (query.sort && !ORDERS[query.sort] && ![...this.order.options].some((one) => one.value === query.sort)) {
      this.order.append(h("option", { value: query.sort }, `${ORDERS[query.sort.slice(1)] ?? query.sort}, backwards`));
    }
    this.order.value = query.sort ?? "path";
    const given = NAMES.slice(0, -2).flatMap((name) => this.#given.getAll(name).filter((value) => name !== "q" || value).map((value) => this.#chip(name, value)));
    this.chips.replaceChildren(...given, ...(given.length > 1 ? [h("li", {}, h("a", { href: href("/library") }, "Take all away"))] : []));
    this.chips.hidden = !given.length;
  }

  #chip(name, value) {
    const text = this.#text(name, value);
    const hue = name === "tag" ? moodChip(value.split(":").at(-1)).dataset.hue : "teal";
    const off = () => {
      this.forget(name, value);
      (this.chips.querySelector("button") ?? this.words).focus();
    };
    return h("li", { class: "chip", "data-hue": hue }, text, h("button", { type: "button", class: "quiet", "aria-label": `Take away: ${text}`, onclick: off }, icon("close")));
  }

  #text(name, value) {
    if (name === "tag") return this.#tagText(value.trim());
    if (name === "library_id") return `Library: ${this.#libraries.find((one) => String(one.id) === value)?.name ?? `no. ${value}`}`;
    if (name === "status") return STATES[value] ?? value;
    if (name === "q") return `“${value}”`;
    if (name === "own_tag") return `has the tag ${value}`;
    const label = { minutes: "Length", format: "Format" }[name] ?? name[0].toUpperCase() + name.slice(1);
    if (value === "") return `${label}: not said`;
    return name === "minutes" ? (value === "60" ? "an hour and longer" : `${value} to ${Number(value) + 1} minutes long`) : `${label}: ${value}`;
  }

  #tagText(value) {
    if (value.startsWith("!")) return `not ${this.#tagText(value.slice(1).trim())}`;
    const isOurs = value.startsWith(`${this.namespace}:`);
    const plain = isOurs ? value.slice(this.namespace.length + 1) : value;
    const [name, word] = [plain.split(":")[0], plain.split(":").slice(1).join(":")];
    if (name in TIERS && word) return `${TIERS[name]}${word}`;
    if (isOurs && plain === "*") return "heard";
    if (isOurs && plain in TIERS) return `any mood ${TIERS[plain].trim().replace("at least ", "")}`;
    if (isOurs) return plain.replace(/\s*(>=|<=|>|<)\s*/, (_, sign) => ` ${{ ">=": "≥", "<=": "≤" }[sign] ?? sign} `);
    return word ? `${name}: ${word}` : `has the tag ${name}`;
  }

  async #listMoods() {
    const { mood_distribution: found } = await api.get("/api/web/analytics/mood-distribution");
    const group = (label, prefix) => h("optgroup", { label }, ...found.map(({ mood }) => mood).sort().map((mood) => h("option", { value: `${prefix}:${mood}` }, prefix === "mood" ? mood : `clearly ${mood}`)));
    this.mood.append(group("In any measure", "mood"), group("Clearly", "mood-strict"));
  }

  #byScore() {
    this.scores = h("select", { name: "score", required: true });
    const side = h("select", { name: "side", "aria-label": "Above or below" }, h("option", { value: ">=" }, "at least"), h("option", { value: "<=" }, "at most"));
    const bound = h("input", { type: "number", name: "bound", min: "0", max: "1", step: "0.01", value: "0.7", required: true, "aria-label": "Bound, from 0 to 1" });
    return h("form", { class: "look is-small", onsubmit: (event) => {
      event.preventDefault();
      if (this.scores.value) this.add("tag", `${this.scores.value}${side.value}${bound.value}`);
    } }, h("label", {}, "Score", this.scores), side, bound, h("button", { type: "submit" }, "Add the score"));
  }

  #byTag() {
    const name = h("input", { name: "name", required: true, maxlength: "100", placeholder: "genre" });
    const value = h("input", { name: "value", maxlength: "300", placeholder: "any" });
    return h("form", { class: "look is-small", onsubmit: (event) => {
      event.preventDefault();
      this.add("tag", value.value.trim() ? `${name.value.trim()}:${value.value.trim()}` : name.value.trim());
      event.target.reset();
    } }, h("label", {}, "Tag of the file’s own", name), h("label", {}, "Its value", value), h("button", { type: "submit" }, "Add the tag"));
  }

  /** What scores there are is asked only when somebody wants to know. */
  async #offer() {
    if (this.scores.length) return;
    const { tag_frequencies: found } = await api.get("/api/web/analytics/tag-frequencies", { limit: 1000 });
    const start = `${this.namespace}:`;
    const names = found.map((one) => one.tag_key).filter((key) => key.startsWith(start) && !key.includes(":mood-")).sort();
    if (!this.scores.length) this.scores.append(...names.map((key) => h("option", { value: key }, key.slice(start.length))));
  }
});
