// <nom-rules>: builds a playlist's rules by choosing, in groups within groups; tells "change".
//   rules.fields = await api.get("/api/web/navidrome/fields"); rules.tree = tree; rules.text
import { h, icon } from "../dom.js";
import { choiceOf, choices, editorOf, toText, valueAfter } from "../rules.js";

const MATCHES = { all: "all of these", any: "any of these", none: "none of these" };
const GROUPS = [
  ["Mood words", (field) => field.kind === "words" || (field.mood && !field.operators.includes("gt"))],
  ["Scores, 0 to 1", (field) => field.kind === "score" && field.known === "here"],
  ["The track", (field) => ["text", "number", "date", "flag"].includes(field.kind) && field.known === "here"],
  ["Its tags", (field) => ["tag", "role"].includes(field.kind) && field.known === "here"],
  ["Scores that no track has yet", (field) => field.known === "not_yet"],
  ["What Navidrome alone knows", (field) => field.known === "navidrome"],
];
const DEEPEST = 6; // levels of groups by choosing; a query's text may go deeper

/** `nom:danceability` -> "danceability". */
export const shortName = (name) => name.slice(name.indexOf(":") + 1);

/** The options of a select, by what they are. */
export function fieldOptions(fields) {
  const left = new Set(fields);
  return GROUPS.map(([label, belongs]) => {
    const found = [...left].filter(belongs);
    for (const field of found) left.delete(field);
    return found.length ? h("optgroup", { label }, ...found.map(({ name }) => h("option", { value: name }, shortName(name)))) : null;
  }).filter(Boolean);
}

customElements.define("nom-rules", class extends HTMLElement {
  #fields = new Map();
  #root = { match: "all", parts: [] };
  #options = [];

  set fields(list) {
    this.#fields = new Map(list.map((field) => [field.name, field]));
    this.#options = fieldOptions(list.filter((field) => field.kind !== "random"));
    this.first = list.find((field) => field.name.endsWith(":mood-regular"));
    this.show();
  }

  /** Null: nothing is asked for yet. */
  set tree(tree) {
    this.#root = tree ? structuredClone(tree) : { match: "all", parts: [this.blank()] };
    this.show();
  }

  get text() {
    return toText(this.#root);
  }

  blank() {
    return { field: this.first.name, operator: "is", value: "" };
  }

  tell() {
    this.dispatchEvent(new Event("change"));
  }

  /** Draws all of it anew; the focus goes to `key`, or stays. */
  show(key = this.contains(document.activeElement) ? document.activeElement.dataset.key : null) {
    if (!this.#fields.size) return;
    this.replaceChildren(this.group(this.#root, []));
    if (key) (this.querySelector(`[data-key="${key}"]`) ?? this.querySelector("select"))?.focus();
  }

  redo(key) {
    this.show(key);
    this.tell();
  }

  group(group, path, remover) {
    const place = path.join(".");
    const name = path.length ? `group ${place}` : "the playlist";
    const match = h("select", { "aria-label": `How many rules of ${name} must hold`, "data-key": `${place}:match`, onchange: () => {
      group.match = match.value;
      this.tell();
    } }, ...Object.entries(MATCHES).map(([value, label]) => h("option", { value, selected: value === group.match }, label)));
    const parts = group.parts.map((part, n) => {
      const at = [...path, n + 1];
      const remover = this.remover(group, n, at);
      return h("li", {}, ..."parts" in part ? [this.group(part, at, remover)] : [this.rule(part, at), remover]);
    });
    return h("div", { class: "rule-group", role: "group", "aria-label": path.length ? `Group ${place}` : "Rules" },
      h("div", { class: "rule-match" }, h("span", {}, path.length ? "with" : "Tracks with"), match, remover),
      h("ul", {}, ...parts), h("div", { class: "row" }, this.adder(group, path, "Add a rule", () => this.blank()),
        path.length < DEEPEST ? this.adder(group, path, "Add a group", () => ({ match: "any", parts: [this.blank()] })) : null));
  }

  adder(group, path, label, make) {
    const place = path.join(".");
    return h("button", { type: "button", class: "small", "aria-label": path.length ? `${label} to group ${place}` : null, "data-key": `${place}:${label}`, onclick: () => {
      group.parts.push(make());
      const at = [...path, group.parts.length].join(".");
      this.redo(label.endsWith("rule") ? `${at}:field` : `${at}.1:field`);
    } }, label);
  }

  remover(group, n, at) {
    const place = at.join(".");
    const isGroup = "parts" in group.parts[n];
    return h("button", { type: "button", class: "quiet remove", "aria-label": `Remove ${isGroup ? "group" : "rule"} ${place}`, "data-key": `${place}:remove`, onclick: () => {
      group.parts.splice(n, 1);
      if (!this.#root.parts.length) this.#root.parts.push(this.blank());
      this.redo(`${at.slice(0, -1).join(".")}:Add a rule`);
    } }, icon("close"));
  }

  rule(rule, at) {
    const place = at.join(".");
    const field = this.#fields.get(rule.field) ?? { name: rule.field, kind: "text", operators: [rule.operator], values: [] };
    const options = this.#options.map((group) => group.cloneNode(true));
    const name = h("select", { "aria-label": `Field of rule ${place}`, "data-key": `${place}:field`, onchange: () => {
      const next = this.#fields.get(name.value);
      const wanted = next.kind === "score" && rule.operator === "is" ? "ge" : rule.operator; // nothing has just one score
      const choice = choices(next).find((one) => one.operator === wanted && one.value === undefined) ?? choices(next)[0];
      Object.assign(rule, { field: next.name, operator: choice.operator, value: valueAfter(rule.value, next, choice) });
      this.redo();
    } }, ...options);
    name.value = field.name;
    if (name.selectedIndex < 0) name.append(h("option", { selected: true }, field.name));
    const said = choices(field);
    const chosen = said.findIndex((one) => one.label === choiceOf(rule, field).label);
    const how = h("select", { "aria-label": `Comparison of rule ${place}`, "data-key": `${place}:how`, onchange: () => {
      const choice = said[how.value];
      Object.assign(rule, { operator: choice.operator, value: valueAfter(rule.value, field, choice) });
      this.redo();
    } }, ...said.map(({ label }, n) => h("option", { value: n, selected: n === chosen }, label)));
    return h("div", { class: "rule" }, name, how, this.value(rule, field, editorOf(field, said[chosen]), place));
  }

  value(rule, field, editor, place) {
    if (editor.type === "none") return h("span", { class: "value" });
    const one = (value, set, which) => this.input(editor.type, field, value, (given) => {
      set(given);
      this.tell();
    }, { "aria-label": `${which} of rule ${place}`, "data-key": `${place}:${which}` }, editor.isRange);
    if (!editor.isRange) return h("span", { class: "value" }, ...one(rule.value, (given) => (rule.value = given), "Value"));
    const half = (n) => one(rule.value[n], (given) => (rule.value[n] = given), n ? "Highest value" : "Lowest value");
    return h("span", { class: "value is-range" }, ...half(0), h("span", { class: "soft" }, "and"), ...half(1));
  }

  input(type, field, value, set, names, isRange) {
    if (type === "word") {
      const words = value && !field.values.includes(value) ? [value, ...field.values] : field.values;
      const select = h("select", { ...names, onchange: () => set(select.value) }, h("option", { value: "" }, "choose a word"),
        ...words.map((word) => h("option", { value: word, selected: word === value }, word)));
      return [select];
    }
    const isNumber = ["number", "score", "days"].includes(type);
    const bounds = type === "score" ? { min: 0, max: 1 } : type === "days" ? { min: 0, max: 36_500 } : {};
    const hint = { date: "2024-12-31", text: field.kind === "playlist" ? "its id in Navidrome" : "text" }[type];
    const input = h("input", { ...names, ...bounds, type: isNumber ? "number" : "text", step: isNumber ? "any" : null, value, placeholder: hint, maxlength: isNumber ? null : 500, oninput: () => {
      if (slider) slider.value = input.value;
      set(!isNumber ? input.value : input.value === "" ? null : input.valueAsNumber);
    } });
    const slider = type !== "score" || isRange ? null : h("input", { type: "range", min: 0, max: 1, step: 0.01, "aria-label": `${names["aria-label"]}, as a slider`, "data-key": `${names["data-key"]}-slider`, oninput: () => {
      input.value = slider.value;
      set(slider.valueAsNumber);
    } });
    if (slider) slider.value = value;
    return slider ? [slider, input] : [input];
  }
});
