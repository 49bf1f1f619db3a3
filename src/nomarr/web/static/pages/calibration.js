import { api } from "../api.js";
import { ago, byId, h, href, icon, number, percent, plural, say } from "../dom.js";
import { atMostEvery, listen } from "../events.js";
import { chart } from "../elements/nom-chart.js";
import { ask } from "../elements/nom-confirm.js";
import { empty } from "../elements/nom-empty.js";
import { level } from "../elements/nom-level.js";
import "../elements/nom-libraries.js";
import { WORDS } from "../elements/nom-moods.js";
import { toast } from "../elements/nom-toasts.js";

const PAST = 10;
const NARROWEST = 0.01; // percentiles closer than this leave a score as it is
const NONE = { count: 0, strict: 0, regular: 0, loose: 0 };
const chooser = document.querySelector("nom-libraries");
const library = () => (chooser.value ? Number(chooser.value) : null);
let names = new Map(); // library id -> name
let asked = 0; // a late answer about another library is not shown

function table(label, heads, rows) {
  return h("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": label }, h("table", {},
    h("thead", {}, h("tr", {}, ...heads.map((name, at) => h("th", { scope: "col", class: at ? "amount" : null }, name)))),
    h("tbody", {}, ...rows.map(([name, ...cells]) => h("tr", {}, h("th", { scope: "row" }, name), ...cells.map((cell) => h("td", { class: "amount" }, cell)))))));
}

// files, and what is being applied to them

let applying = null;
let outdated = 0;

async function showStatus() {
  const turn = asked;
  const status = await api.get("/api/web/calibration/status");
  if (turn !== asked) return;
  const shown = status.libraries.filter((one) => !library() || one.library_id === chooser.value);
  outdated = shown.reduce((sum, one) => sum + one.outdated_count, 0);
  byId("holds").replaceChildren(table("Files of each library", ["Library", "Calibration", "Heard", "Up to date", "Lag behind", "Share"], shown.map((one) =>
    [one.library_name, one.calibration, number(one.total_files), number(one.current_count), number(one.outdated_count), one.total_files ? percent(one.percentage / 100, 1) : "–"])));
  showApplying(status.applying);
}

const STATES = {
  writing: "Writing",
  held: "Paused",
  paused: "All work is paused, and this with it; it goes on with the workers",
};

function showApplying(progress) {
  const isOver = applying !== null && progress === null;
  applying = progress;
  byId("applying").hidden = !progress;
  byId("hold").hidden = !progress;
  byId("apply").disabled = Boolean(progress) || !outdated;
  say("apply-hint", progress || outdated ? "" : "Every file is up to date.");
  if (progress) {
    byId("progress").max = Math.max(progress.total, 1);
    byId("progress").value = progress.done;
    say("progress-text", `${STATES[progress.state]}: ${number(progress.done)} of ${plural(progress.total, "file")} ${progress.total === 1 ? "is" : "are"} up to date.`);
    say("hold", progress.state === "held" ? "Go on" : "Pause");
  }
  if (isOver) {
    toast("The files are up to date");
    refreshStatus();
  }
}

const refreshStatus = atMostEvery(1000, showStatus);

async function apply() {
  const wanted = await ask({ title: `Bring ${plural(outdated, "file")} up to date?`, action: "Bring them up to date", isHarmless: true,
    text: "Files whose tags change are written again, one after the other; the others are only noted as up to date. It can be paused, and every write can be undone." });
  if (!wanted) return;
  const { queued, unchanged } = await api.post("/api/web/calibration/apply", { library_id: library() });
  toast(`${plural(queued, "file")} to write; the tags of ${number(unchanged)} stay as they are`);
  await showStatus();
}

// a new calibration

async function showWhetherAllowed() {
  const { calibrate_heads: isAllowed, details } = await api.get("/api/web/config");
  const lock = details.calibrate_heads.locked_by;
  byId("generate").disabled = !isAllowed;
  byId("allow").hidden = isAllowed || details.calibrate_heads.locked;
  say("generate-hint", isAllowed ? "" : `The setting calibrate_heads does not allow it${lock ? `; ${lock} decides that` : ""}.`);
  say("extent", library() ? `It is counted from ${names.get(library())}, and holds for it alone.` : "It is counted from all enabled libraries, and holds for all.");
}

async function generate() {
  byId("generate").disabled = true;
  try {
    const made = await api.post("/api/web/calibration/generate-histogram", { library_id: library() });
    const drift = made.drift === null ? "" : `; a score moved by ${percent(made.drift, 1)} at most`;
    byId("made").replaceChildren(h("p", {}, h("strong", {}, `v${made.version} holds now`), `: ${plural(made.summary.completed_heads, "score")} counted from ${plural(made.library_size, "track")}${drift}.`),
      ...(made.note ? [warning(made.note)] : []));
  } finally {
    byId("generate").disabled = false;
  }
  await Promise.all([showStatus(), showSpread(), showHistory(), showCounts()]);
}

const sentence = (text) => (text.endsWith(".") ? text : `${text}.`);
const warning = (text) => h("div", { class: "card warning" }, icon("warning"), h("p", {}, sentence(text)));

// levels

let usual, saved, before; // levels of all other moods; of those that have their own; mood -> tracks that carry it now
const rows = new Map();

const held = () => Object.fromEntries([...rows].filter(([, row]) => row.classList.contains("is-own")).map(([mood, row]) => [mood, row.levels]));
const text = (levels) => JSON.stringify(WORDS.map((mood) => { const one = levels[mood] ?? usual; return [one.strict, one.regular, one.loose]; }));
const isChanged = () => text(held()) !== text(saved);

async function showLevels() {
  ({ default: usual, levels: saved } = await api.get("/api/web/moods/levels"));
  for (const mood of WORDS) {
    if (rows.has(mood)) rows.get(mood).levels = saved[mood] ?? usual;
    else rows.set(mood, level(mood, usual, saved[mood] ?? usual));
  }
  if (!byId("levels").children.length) byId("levels").replaceChildren(...rows.values());
  await showCounts();
}

async function showCounts() {
  const turn = asked;
  const { mood_distribution: moods } = await api.get("/api/web/analytics/mood-distribution", { library_id: library() });
  if (turn !== asked) return;
  before = new Map(moods.map((one) => [one.mood, one]));
  await preview();
}

async function preview() {
  const turn = asked;
  const levels = held();
  const { changes } = isChanged() ? await api.post("/api/web/moods/levels/preview", { levels, library_id: library() }) : { changes: [] };
  if (turn !== asked) return;
  const after = new Map(changes.map((one) => [one.mood, one]));
  for (const [mood, row] of rows) row.show(after.get(mood)?.before ?? before.get(mood) ?? NONE, after.get(mood)?.after);
  say("effect", !isChanged() ? "" : changes.length ? `${plural(changes.length, "mood")} would change.` : "No track would change its words.");
}

const refreshPreview = atMostEvery(150, preview);

function onLevel() {
  for (const id of ["save", "discard"]) byId(id).disabled = !isChanged();
  byId("settle").classList.toggle("is-stuck", isChanged());
  refreshPreview();
}

async function save() {
  byId("save").disabled = true;
  try {
    ({ levels: saved } = await api.put("/api/web/moods/levels", { levels: held() }));
    toast("The levels hold now; bring files up to date to have them in the tags");
  } finally {
    onLevel();
  }
  await Promise.all([showCounts(), showStatus()]);
}

function discard() {
  for (const [mood, row] of rows) row.levels = saved[mood] ?? usual;
  onLevel();
}

// how scores are spread

let spreads = [];

async function showSpread() {
  const turn = asked;
  const answer = await api.get("/api/web/calibration/histogram", { library_id: library() });
  if (turn !== asked) return;
  spreads = answer.heads;
  const packs = [...new Set(spreads.map((one) => one.pack))];
  byId("head").replaceChildren(...packs.map((pack) => h("optgroup", { label: pack }, ...spreads.filter((one) => one.pack === pack).map((one) => h("option", { value: one.name }, one.name)))));
  const wanted = new URL(location).searchParams.get("head");
  byId("head").value = spreads.some((one) => one.name === wanted) ? wanted : spreads[0]?.name ?? "";
  byId("heads").replaceChildren(table("All scores", ["Score", "Model", "5th", "95th", "From", "Tracks", "Drift"], spreads.map((one) =>
    [one.name, one.pack, exact(one.p5), exact(one.p95), one.percentiles_from ?? "–", number(one.n), moved(one.drift)])));
  showHead();
}

const exact = (score) => (score === null ? "–" : score.toFixed(4));
const moved = (drift) => (drift === null ? "–" : percent(drift, 1));

function showHead() {
  const head = spreads.find((one) => one.name === byId("head").value);
  if (!head) return;
  const width = head.end / head.counts.length;
  const items = head.counts.map((value, n) => ({ label: `${(n * width).toFixed(3)} to ${((n + 1) * width).toFixed(3)}`, value, text: plural(value, "track") }));
  const marks = head.p5 === null ? [] : [{ at: head.p5 / head.end, label: "5th" }, { at: head.p95 / head.end, label: "95th" }].filter((mark) => mark.at <= 1);
  byId("spread").replaceChildren(h("p", {}, inWords(head)), chart({ kind: "columns", caption: `Raw scores of ${head.name}`, items, marks, from: "0", to: String(head.end) }));
}

function inWords(head) {
  const parts = [`${plural(head.n, "track")}.`];
  if (head.p5 !== null) parts.push(`5th percentile ${exact(head.p5)}, 95th ${exact(head.p95)}, from ${head.percentiles_from === "reference" ? "the reference" : head.percentiles_from}.`);
  else parts.push("Neither a calibration nor the reference knows this score: it stays as it is.");
  if (head.p5 !== null && head.p95 - head.p5 < NARROWEST) parts.push("It hardly varies here, so it stays as it is.");
  if (head.drift !== null) parts.push(`Drift ${moved(head.drift)}.`);
  if (head.above) parts.push(`${plural(head.above, "track")} beyond ${head.end}, outside the picture.`);
  return parts.join(" ");
}

function onHead() {
  const address = new URL(location);
  address.searchParams.set("head", byId("head").value);
  history.replaceState(null, "", address);
  showHead();
}

// history

let oldest = null;

async function showHistory(isMore = false) {
  const turn = asked;
  const { calibrations } = await api.get("/api/web/calibration/history", { library_id: library(), limit: PAST, before_version: isMore ? oldest : null });
  if (turn !== asked) return;
  const items = calibrations.map((one) => h("li", {}, h("strong", {}, one.label), h("time", { class: "soft", datetime: one.created_at, title: one.created_at }, ago(one.created_at)),
    h("span", {}, `${plural(one.library_size, "track")} of ${one.library_id === null ? "all libraries" : names.get(one.library_id) ?? "a library that is gone"}`),
    h("span", { class: "soft" }, one.drift === null ? "" : `drift ${moved(one.drift)}`), one.note ? h("p", { class: "hint" }, sentence(one.note)) : null));
  if (isMore) byId("history").firstElementChild.append(...items);
  else byId("history").replaceChildren(items.length ? h("ul", { class: "past" }, ...items) : h("p", {}, "There was none yet; the reference holds."));
  oldest = calibrations.at(-1)?.version ?? oldest;
  byId("more").hidden = calibrations.length < PAST;
}

// the page

async function show() {
  const turn = ++asked;
  for (const id of ["calibration", "nothing"]) byId(id).hidden = true;
  byId("loading").hidden = false;
  say("loading", "Counting …");
  byId("made").replaceChildren();
  try {
    const libraries = await api.get("/api/web/libraries");
    names = new Map(libraries.map((one) => [one.id, one.name]));
    await Promise.all([showStatus(), showWhetherAllowed(), rows.size ? showCounts() : showLevels(), showSpread(), showHistory()]);
  } catch (error) {
    if (turn === asked) say("loading", error.message);
    return;
  }
  if (turn !== asked) return;
  byId("loading").hidden = true;
  if (spreads.length) byId("calibration").hidden = false;
  else {
    byId("nothing").replaceChildren(names.size
      ? empty({ heading: "Nothing heard yet", text: "A calibration is counted from scores; they are here as soon as the first track was listened to.", action: "See how far it is", to: "/" })
      : empty({ heading: "No library yet", text: "Tell Nomarr where your music is.", action: "Set it up", to: "/welcome" }));
    byId("nothing").hidden = false;
  }
}

const on = (id, event, work) => byId(id).addEventListener(event, work);
on("apply", "click", apply);
on("hold", "click", async () => {
  await api.post(`/api/web/calibration/apply/${applying?.state === "held" ? "resume" : "pause"}`);
  await showStatus();
});
on("generate", "click", generate);
on("allow", "click", async () => {
  await api.post("/api/web/config", { key: "calibrate_heads", value: true });
  await showWhetherAllowed();
});
on("levels", "input", onLevel);
on("save", "click", save);
on("discard", "click", discard);
on("head", "change", onHead);
on("more", "click", () => showHistory(true));
chooser.addEventListener("change", show);
listen({ "queue:status": ({ calibration }) => {
  if (JSON.stringify(calibration) !== JSON.stringify(applying)) refreshStatus();
} });
setInterval(() => applying && refreshStatus(), 5_000); // an event may have been too early
show();
