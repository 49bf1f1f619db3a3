import { api } from "../api.js";
import { byId, h, href, number, plural, say } from "../dom.js";
import { copyable } from "../elements/nom-copy.js";
import { fieldOptions } from "../elements/nom-rules.js";
import { read } from "./playlists-open.js";
import { showPushed, showScan } from "./playlists-pushed.js";
import { send } from "./playlists-send.js";
import "../elements/nom-doctor.js";

const SAMPLE = 10;
const PAUSE_MS = 350; // after the last key
const MOST_ORDERS = 3;
const builder = document.querySelector("nom-rules");
const query = byId("query");
const form = byId("send");
const given = new URLSearchParams(location.search);
let orders = []; // { field, descending }
let sortable = [];
let isTextNewer = false; // than the builder
let presetNames = [];
let turn = 0;
let timer;

const sortText = () => orders.map(({ field, descending }) => (descending ? "-" : "") + field).join(",");
const limit = () => byId("limit").valueAsNumber || 0;

/** What the API is asked for: the rules with their order and limit. */
const asked = () => ({ query: query.value, sort: sortText(), limit: limit() });

function changed() {
  clearTimeout(timer);
  byId("found").setAttribute("aria-busy", "true");
  timer = setTimeout(look, PAUSE_MS);
}

async function look() {
  const mine = ++turn;
  const { value } = query;
  keepAddress();
  if (!value.trim()) return showNothing();
  const isText = isTextNewer;
  const [tree, found] = await Promise.allSettled([
    isText ? api.post("/api/web/navidrome/parse", { query: value }) : null,
    api.post("/api/web/navidrome/playlists/preview", { ...asked(), preview_limit: SAMPLE }),
  ]);
  if (mine !== turn || value !== query.value) return; // somebody typed on; the next answer is on its way
  if (isText && tree.status === "fulfilled") {
    builder.tree = tree.value.tree;
    isTextNewer = false;
  }
  builder.classList.toggle("is-behind", isTextNewer);
  const failed = [tree, found].find(({ status }) => status === "rejected");
  showProblem(failed?.reason.message ?? "", value);
  if (found.status === "fulfilled") showFound(found.value);
  else if (found.reason.status === 400) say("count-notes", "As it was before: what stands there now cannot be asked for.");
  byId("found").toggleAttribute("data-old", Boolean(failed));
  byId("found").removeAttribute("aria-busy");
}

function showFound({ matched_tracks: listed, total_matching: matching, not_written: unwritten, preview, not_evaluated: unknown }) {
  say("count", plural(listed, "track"));
  const notes = [];
  if (listed < matching) notes.push(`the first of ${plural(matching, "track")} that match`);
  if (unwritten) notes.push(`${number(unwritten)} of those that match are heard, but their files do not hold it yet: Navidrome cannot know`);
  if (unknown.length) notes.push(`without the rules on ${unknown.join(", ")}, which Navidrome alone knows`);
  say("count-notes", notes.join("; "));
  const rows = preview.map(({ id, title, artist, path }) => h("li", { title: path }, h("a", { href: href(`/tracks/${id}`) }, title), h("span", { class: "soft" }, artist || "Unknown artist")));
  byId("sample").replaceChildren(...(rows.length ? rows : [h("li", { class: "soft" }, "No track is like that. Take a rule away, or ask for less of it.")]));
}

function showNothing() {
  showProblem("");
  say("count", "–");
  say("count-notes", "Choose a mood, or a score and how much of it; the tracks show up here.");
  byId("sample").replaceChildren();
  byId("found").removeAttribute("aria-busy");
  byId("found").removeAttribute("data-old");
}

/** `column 7: expected a value` -> the sentence, with the place in the text. */
function showProblem(message, text = "") {
  const [, column, why] = message.match(/^column (\d+): (.*)$/s) ?? [];
  byId("query-hint").hidden = Boolean(message);
  query.setAttribute("aria-invalid", message ? "true" : "false");
  if (!message) return byId("problem").replaceChildren();
  if (!column) return byId("problem").replaceChildren(h("p", { class: "problem" }, message));
  const letters = Array.from(text); // columns count characters, not halves of them
  const at = column - 1;
  const [wrong] = letters.slice(at, at + 24).join("").match(/^[\w:.-]+|^./su) ?? [""];
  const after = letters.slice(at + Array.from(wrong).length);
  byId("problem").replaceChildren(
    h("p", { class: "problem" }, `At character ${column}: ${why}`),
    h("code", { class: "excerpt" }, at > 24 ? "…" : "", letters.slice(Math.max(0, at - 24), at).join(""),
      h("mark", {}, wrong.trim() || "\u2003"), after.slice(0, 24).join(""), after.length > 24 ? "…" : ""));
}

function keepAddress() {
  const shown = { q: query.value.trim(), sort: sortText(), limit: limit() || "", name: form.elements.playlist_name.value.trim() };
  const said = new URLSearchParams(Object.entries(shown).filter(([, value]) => value));
  history.replaceState(null, "", said.size ? `?${said}` : location.pathname);
}

function setText(text) {
  query.value = text;
  isTextNewer = true;
  changed();
}

/** Everything of a playlist at once: a preset's, a pushed one's. */
function load({ name, text }) {
  const isOurs = !form.elements.playlist_name.value.trim() || presetNames.includes(form.elements.playlist_name.value.trim());
  if (name && isOurs) form.elements.playlist_name.value = name;
  setText(text);
  byId("rules-title").scrollIntoView({ block: "start", behavior: "smooth" });
}

/** What another playlist said is gone. */
function empty() {
  orders = [];
  showOrders();
  byId("limit").value = form.elements.playlist_name.value = form.elements.comment.value = "";
  builder.tree = null;
  query.value = "";
  isTextNewer = false;
  changed();
}

async function openFile(file) {
  const { name, comment, limit: most, sort, text } = await read(file);
  empty();
  orders = ordersOf(sort);
  showOrders();
  byId("limit").value = most || "";
  form.elements.comment.value = comment;
  load({ name, text });
}

// the order

const ordersOf = (text) => text.split(",").map((part) => ({ field: part.replace(/^-/, ""), descending: part.startsWith("-") }))
  .filter(({ field }) => field === "random" || sortable.some(({ name }) => name === field)).slice(0, MOST_ORDERS);

function showOrders(focus) {
  const rows = orders.length < MOST_ORDERS ? [...orders, null] : orders;
  byId("sort").replaceChildren(h("legend", {}, "Sorted by"), ...rows.map(orderRow));
  if (focus !== undefined) byId("sort").querySelectorAll(".order > select:first-child")[focus]?.focus();
}

function orderRow(order, n) {
  const field = h("select", { "aria-label": n ? `Then by, ${n + 1}` : "Sorted by", onchange: () => {
    if (field.value) orders[n] = { field: field.value, descending: order?.descending ?? false };
    else orders.splice(n, 1);
    showOrders(n);
    changed();
  } }, h("option", { value: "" }, n ? "then by …" : "title"), h("option", { value: "random" }, "chance, always anew"),
  ...fieldOptions(sortable));
  field.value = order?.field ?? "";
  if (!order || order.field === "random") return h("div", { class: "order" }, field);
  const way = h("select", { "aria-label": `Direction ${n + 1}`, onchange: () => {
    order.descending = way.value === "-";
    changed();
  } }, h("option", { value: "" }, "low to high"), h("option", { value: "-" }, "high to low"));
  way.value = order.descending ? "-" : "";
  return h("div", { class: "order" }, field, way);
}

// the beginning

async function showPresets() {
  const presets = await api.get("/api/web/navidrome/presets");
  presetNames = presets.map(({ name }) => name);
  byId("presets").replaceChildren(...presets.map(({ name, query: text, matched_tracks: count }) => h("li", {},
    h("button", { type: "button", title: text, onclick: () => load({ name, text }) }, h("span", {}, name), h("small", {}, plural(count, "track"))))));
}

async function begin() {
  const fields = await api.get("/api/web/navidrome/fields");
  builder.fields = fields;
  builder.tree = null;
  sortable = fields.filter((field) => field.has_order && field.kind !== "random" && field.known !== "not_yet");
  orders = ordersOf(given.get("sort") ?? "");
  showOrders();
  byId("limit").value = given.get("limit") ?? "";
  form.elements.playlist_name.value = given.get("name") ?? "";
  query.value = given.get("q") ?? "";
  isTextNewer = true;
  look();
}

query.addEventListener("input", () => {
  isTextNewer = true;
  changed();
});
builder.addEventListener("change", () => {
  query.value = builder.text;
  isTextNewer = false;
  changed();
});
byId("limit").addEventListener("input", changed);
byId("clear").addEventListener("click", empty);
byId("open").addEventListener("click", () => byId("nsp").click());
byId("nsp").addEventListener("change", async ({ target }) => {
  const [file] = target.files;
  target.value = ""; // the same one may be chosen again
  if (file) await openFile(file);
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!query.value.trim()) {
    say("sent", "Say first which tracks it holds.");
    return;
  }
  keepAddress();
  send(form, event.submitter, asked(), showPushed.bind(null, load));
});

async function showLibraries() {
  const libraries = await api.get("/api/web/libraries");
  form.elements.library_id.replaceChildren(...libraries.map(({ id, name }) => h("option", { value: id }, name)));
  form.querySelector("[value=write]").disabled = !libraries.length;
}

async function showConfig() {
  const { config } = await api.get("/api/web/navidrome/config");
  byId("config").replaceChildren(copyable(config, "Navidrome’s configuration"));
}

begin();
showPresets();
showLibraries();
showConfig();
if (byId("pushed")) {
  showPushed(load);
  showScan();
}
