import { api } from "../api.js";
import { ago, byId, duration, fileName, h, href, icon, number, plural, say } from "../dom.js";
import { atMostEvery, listen } from "../events.js";
import { empty } from "../elements/nom-empty.js";
import { moods } from "../elements/nom-moods.js";

const RECENT = 8;
const WORDS = 4; // shown of a track's moods
let isPaused = false;
let queue = null;

function showQueue({ pending, running, completed }) {
  queue = { pending, running, completed };
  const all = pending + running + completed;
  say("done", number(completed));
  say("all", number(all));
  say("to-do", number(pending + running));
  byId("progress").max = Math.max(all, 1);
  byId("progress").value = completed;
  refresh();
}

function stateOf(work) {
  if (work.scanning.length) return `Looking for music in ${work.scanning.map((scan) => scan.name).join(", ")} …`;
  if (work.paused) return "Paused";
  if (work.running) return "Listening";
  if (work.pending) return work.workers ? "About to begin" : "Waiting for a worker";
  return queue?.completed ? "All is heard" : "Nothing to do";
}

async function showWork() {
  const work = await api.get("/api/web/work-status");
  const isAtWork = work.pending + work.running > 0;
  isPaused = work.paused;
  say("state", stateOf(work));
  document.querySelector(".now").classList.toggle("is-working", work.running > 0);
  say("rate", isAtWork && work.rate_per_minute ? `${number(work.rate_per_minute, 1)} / min` : "–");
  say("eta", isAtWork ? duration(work.eta) : "–");
  say("workers", number(work.workers));
  byId("in-hand").replaceChildren(...work.files.map((file) => h("li", {}, h("span", { title: file.path }, fileName(file.path)))));
  say("pause", isPaused ? "Go on" : "Pause");
  byId("pause").disabled = false;
}

async function showTotals() {
  const stats = await api.get("/api/web/libraries/stats");
  say("total-files", number(stats.total_files));
  say("total-artists", number(stats.unique_artists));
  say("total-albums", number(stats.unique_albums));
  say("total-hours", number(stats.total_duration_seconds / 3600, stats.total_duration_seconds < 36_000 ? 1 : 0));
}

async function showRecent() {
  const { files } = await api.get("/api/web/files", { sort: "-analyzed", status: "done", limit: RECENT });
  if (byId("recent").contains(document.activeElement)) return; // somebody is about to follow a link
  byId("recent").replaceChildren(files.length ? h("ul", {}, ...files.map(row)) : await nothingHeard());
}

function row(track) {
  return h("li", {}, h("div", { class: "who" }, h("a", { href: href(`/tracks/${track.id}`) }, track.title ?? fileName(track.path)),
    h("span", { class: "soft" }, track.artist ?? "Unknown artist")),
  moods(track.moods, WORDS), h("time", { class: "soft", datetime: track.analyzed_at }, ago(track.analyzed_at)));
}

async function nothingHeard() {
  const libraries = await api.get("/api/web/libraries");
  return libraries.length
    ? empty({ heading: "Nothing heard yet", text: "Tracks show up here as soon as the first one is done." })
    : empty({ heading: "No library yet", text: "Tell Nomarr where your music is.", action: "Set it up", to: "/welcome" });
}

// warnings

const ADVICE = [
  [/no usable models/, "Install them with “nomarr models pull”, or say where they are with NOMARR_MODELS_DIR."],
  [/No worker is alive/, "Start the server with workers, or run “nomarr worker” on another machine; Nomarr’s log says why one ended."],
  [/^The scan of/, "See that the folder is there and can be read, then scan the library again."],
  [/database/, "See that its disk or server is there; Nomarr’s log says more."],
];
let unhealthy = [];

async function showWarnings() {
  const [errors, info] = await Promise.all([api.get("/api/web/files/errors", { limit: 1 }), api.get("/api/web/info")]);
  const notes = unhealthy.map((text) => ({ text, advice: ADVICE.find(([pattern]) => pattern.test(text))?.[1] }));
  for (const problem of info.models.problems) notes.push({ text: problem, advice: "This model is left out; the others are used." });
  if (isPaused) notes.push({ text: "The workers are paused", advice: "They take no new file until they may go on." });
  if (errors.total) notes.push({ text: `${plural(errors.total, "file")} could not be handled`, advice: "Each has its reason, and can be tried again.", to: href("/library", { status: "errors" }) });
  const section = byId("warnings");
  const shown = notes.map((note) => JSON.stringify(note)).join();
  if (section.dataset.shown === shown) return;
  section.dataset.shown = shown;
  section.hidden = !notes.length;
  section.replaceChildren(...notes.map(({ text, advice, to }) => h("div", { class: "card warning" }, icon("warning"),
    h("p", {}, h("strong", {}, text), " ", h("span", { class: "soft" }, advice ?? "")), to ? h("a", { class: "button", href: to }, "Show them") : null)));
}

const refresh = atMostEvery(1000, showWork);
const refreshRecent = atMostEvery(2000, showRecent);
const refreshRest = atMostEvery(5000, () => Promise.all([showTotals(), showWarnings()]));

byId("pause").addEventListener("click", async () => {
  byId("pause").disabled = true;
  await api.post(`/api/web/worker/${isPaused ? "resume" : "pause"}`);
  await showWork();
  refreshRest();
});

listen({
  "queue:status": (status) => {
    showQueue(status);
    refreshRest();
  },
  "queue:jobs": (job) => {
    refresh();
    if (job.status !== "running") refreshRecent();
  },
  "system:health": ({ errors }) => {
    unhealthy = errors;
    refreshRest();
  },
  worker: refresh,
  lost: (isLost) => isLost && say("state", "The connection is lost; trying again …"),
});
refreshRecent();
setInterval(refresh, 15_000); // scans begin and end without an event
setInterval(refreshRecent, 60_000); // and time passes
