// A playlist's rules as a tree, from POST /api/web/navidrome/parse, and as the text of a query.
//   group: { match: "all" | "any" | "none", parts: [...] }   rule: { field, operator, value }

const SIGNS = { gt: ">", lt: "<", ge: ">=", le: "<=" };
const TEXTS = ["text", "tag", "role", "words"];
const LABELS = {
  is: "is", isNot: "is not", gt: "is more than", lt: "is less than", ge: "is at least", le: "is at most",
  contains: "contains", notContains: "does not contain", startsWith: "begins with", endsWith: "ends with",
  inTheRange: "lies between", inTheLast: "is in the last … days", notInTheLast: "is not in the last … days",
  isMissing: "is missing", isPresent: "is there", inPlaylist: "is in the playlist", notInPlaylist: "is not in the playlist",
};
const OF_DATES = { gt: "is after", lt: "is before", ge: "is on or after", le: "is on or before" };
const OF_TEXTS = { gt: "sorts after", lt: "sorts before", ge: "is or sorts after", le: "is or sorts before" };
const OPPOSITE = { is: "isNot", isNot: "is", isMissing: "isPresent", isPresent: "isMissing" };
const SETTLED = ["isMissing", "isPresent"]; // say all by themselves

export const isGroup = (node) => "parts" in node;

function isWhole(value) {
  if (Array.isArray(value)) return value.every(isWhole);
  return value !== null && value !== undefined && value !== "" && !Number.isNaN(value);
}

/** Whether there is anything in it to ask for: a rule without its value says nothing yet. */
export const isSaid = (node) => (isGroup(node) ? node.parts.some(isSaid) : isWhole(node.value));

/** The text of a query; "" as long as there is nothing to ask for. */
export function toText(node) {
  if (!isGroup(node)) return ruleText(node);
  const parts = node.parts.filter(isSaid);
  if (!parts.length) return "";
  const inside = (part) => (isGroup(part) && part.match !== "none" ? `(${toText(part)})` : toText(part));
  if (node.match === "none") return `NOT ${parts.length === 1 ? inside(parts[0]) : `(${parts.map(inside).join(" OR ")})`}`;
  return parts.length === 1 ? toText(parts[0]) : parts.map(inside).join(node.match === "all" ? " AND " : " OR ");
}

function ruleText({ field, operator, value }) {
  const said = `${field} ${SIGNS[operator] ?? operator}`;
  return SETTLED.includes(operator) && value === true ? said : `${said} ${valueText(value)}`;
}

function valueText(value) {
  if (Array.isArray(value)) return `[${value.map(valueText).join(", ")}]`;
  return typeof value === "string" ? `"${value.replace(/["\\]/g, "\\$&")}"` : String(value);
}

/** What can be said of a field, of GET /api/web/navidrome/fields; with a `value` where nothing is left to fill in. */
export function choices(field) {
  const said = [];
  if (field.mood) said.push({ operator: "is", value: true, label: "has the word" }, { operator: "is", value: false, label: "lacks the word" });
  if (field.kind === "flag") return [{ operator: "is", value: true, label: "is true" }, { operator: "is", value: false, label: "is false" }];
  const hasScore = field.operators.includes("gt");
  for (const operator of field.operators) {
    if (field.kind === "score" && !hasScore) continue;
    const label = (field.kind === "date" && OF_DATES[operator]) || (TEXTS.includes(field.kind) && OF_TEXTS[operator]) || LABELS[operator];
    said.push(SETTLED.includes(operator) ? { operator, value: true, label } : { operator, label });
  }
  return said;
}

/** Which of the field's choices a rule is. */
export function choiceOf(rule, field) {
  const isNo = rule.value === false || (rule.value === true && rule.operator === "isNot");
  const operator = SETTLED.includes(rule.operator) && isNo ? OPPOSITE[rule.operator] : rule.operator;
  const value = SETTLED.includes(operator) ? true : rule.operator === "isNot" ? !rule.value : rule.value;
  const all = choices(field);
  return (typeof rule.value === "boolean" && all.find((one) => one.value === value && (one.operator === operator || one.operator === "is")))
    || all.find((one) => one.operator === operator && one.value === undefined) || all[0];
}

/** How the value of a choice is filled in: none, days, word, text, date, number or score; `isRange` for two of them. */
export function editorOf(field, choice) {
  if (choice.value !== undefined) return { type: "none" };
  if (choice.operator.endsWith("TheLast")) return { type: "days" };
  if (choice.operator === "inTheRange") return { type: ["number", "score", "date"].includes(field.kind) ? field.kind : "text", isRange: true };
  if (field.kind === "words" && ["is", "isNot"].includes(choice.operator)) return { type: "word" };
  return { type: ["number", "score", "date"].includes(field.kind) ? field.kind : "text" };
}

const isNumeric = ({ type }) => ["number", "score", "days"].includes(type);
const FIRST = { score: 0.5, days: 30, number: null };

/** The value that a rule goes on with after its field or its operator was changed: the old one if it fits. */
export function valueAfter(old, field, choice) {
  const editor = editorOf(field, choice);
  if (editor.type === "none") return choice.value;
  const fits = (value) => (isNumeric(editor) ? typeof value === "number" && (editor.type !== "score" || (value >= 0 && value <= 1)) : typeof value === "string");
  const [first, last] = Array.isArray(old) ? old : [old, undefined];
  const start = fits(first) ? first : (FIRST[editor.type] ?? (isNumeric(editor) ? null : ""));
  if (!editor.isRange) return start;
  return [start, fits(last) ? last : editor.type === "score" ? 1 : isNumeric(editor) ? null : ""];
}
