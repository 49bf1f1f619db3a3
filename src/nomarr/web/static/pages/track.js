import { api } from "../api.js";
import { ago, base, byId, clock, duration, fileName, h, href, plural, say } from "../dom.js";
import { atMostEvery, listen } from "../events.js";
import { empty } from "../elements/nom-empty.js";
import { moodEditor } from "../elements/nom-mood-editor.js";
import { player } from "../elements/nom-player.js";
import { scoreBars } from "../elements/nom-scores.js";
import { toast } from "../elements/nom-toasts.js";
import { fields, writes } from "../writes.js";
import "../elements/nom-moods.js";

const id = Number(location.pathname.slice(`${base}/tracks/`.length));
const STATES = { pending: "Waiting", running: "Being heard", error: "Problem", missing: "Missing", new: "Not heard" };
const editor = moodEditor();
const written = writes();
const refresh = atMostEvery(1500, show);

let latest = 0;

async function show() {
  const mine = ++latest;
  const [track, found] = await Promise.all([api.get(`/api/web/files/${id}`), reasons()]);
  if (mine !== latest) return; // somebody asked again meanwhile, and knows better
  showHead(track);
  showProblem(track);
  byId("scores").replaceChildren(track.scores.length ? scoreBars(track.scores, byId("track").dataset.namespace) : h("p", { class: "soft" }, "None before it was heard."));
  byId("own").replaceChildren(Object.keys(track.tags).length ? fields("Tags of the file’s own", Object.entries(track.tags).map(([name, values]) => [name, [], values])) : h("p", { class: "soft" }, "No tags but title, artist and the like."));
  byId("words").words = track.moods;
  byId("words").hidden = !track.analyzed_at;
  editor.show(track, found);
  await Promise.all([written.show(track), showAgreement(track)]);
  byId("rest").hidden = false;
}

/** Null before the file was heard. */
async function reasons() {
  try {
    return await api.get(`/api/web/files/${id}/moods`);
  } catch (error) {
    if (error.status === 409) return null;
    throw error;
  }
}

function showHead(track) {
  const name = track.title ?? fileName(track.path);
  say("title", name);
  document.title = `${name} · Nomarr`;
  const link = (text, query) => h("a", { href: href("/library", query) }, text);
  byId("by").replaceChildren(track.artist ? link(track.artist, { artist: track.artist }) : "Unknown artist",
    ...(track.album ? [" · ", link(track.album, { artist: track.artist, album: track.album, sort: "album" })] : []));
  say("path", track.path);
  byId("status").hidden = track.status === "done";
  byId("status").className = `badge is-${track.status}`;
  say("status", STATES[track.status] ?? "");
  if (!byId("player").firstChild) byId("player").append(player(id, track));
  const facts = [["Length", clock(track.duration_s)], ["Year", track.year, { year: track.year }], ["Genre", track.genre, { genre: track.genre }],
    ["Format", track.container, { format: track.container }], ["Heard", track.analyzed_at ? ago(track.analyzed_at) : "not yet"],
    ["Hearing took", track.analysis_s === null ? null : duration(Math.max(1, track.analysis_s))]];
  byId("facts").replaceChildren(...facts.filter(([, value]) => value !== null && value !== "").map(([label, value, query]) =>
    h("div", {}, h("dt", {}, label), h("dd", {}, query ? link(String(value), query) : value))));
}

function showProblem(track) {
  const { problem } = track;
  byId("problem").replaceChildren(...(problem.error ? [h("p", {}, `It could not be heard: ${problem.error}`)] : []),
    ...(problem.write_error ? [h("p", {}, `It could not be written: ${problem.write_error}`)] : []),
    ...(problem.set_aside ? [h("p", { class: "hint" }, "It is set aside until you have it tried again; replace or repair the file first.")] : []));
  const isAtWork = ["pending", "running"].includes(track.status);
  const button = (text, work, attributes = {}) => h("button", { type: "button", disabled: isAtWork, ...attributes, onclick: async (event) => {
    event.target.disabled = true;
    await work().catch((error) => {
      event.target.disabled = false;
      throw error;
    });
    await show();
  } }, text);
  if (byId("actions").contains(document.activeElement)) byId("title").focus();
  byId("actions").replaceChildren(...(problem.set_aside || problem.write_failures ? [button("Try again", retry, { class: "main" })] : []),
    ...(track.status === "missing" ? [] : [button(track.analyzed_at ? "Hear it again" : "Hear it", () => hear(track), { title: "Decodes the file and asks the models anew" })]));
}

async function retry() {
  const { retried } = await api.post("/api/web/files/retry", { ids: [id] });
  toast(retried ? "It will be tried again" : "Nothing is wrong with it any more");
  for (const seconds of [2, 5, 15, 60]) setTimeout(refresh, 1000 * seconds); // what fails as before is no event
}

async function hear(track) {
  toast((await api.post("/api/web/processing/process-files", { paths: [track.path], force: true })).message);
}

async function showAgreement(track) {
  const { verdicts, agreed } = await api.get("/api/web/moods/agreement", { library_id: track.library_id });
  say("agreement", verdicts ? `${plural(verdicts, "correction")} in this library; the models agree with ${Math.round(agreed * 100)} % of them` : "");
}

byId("title").tabIndex = -1;
byId("moods").append(editor);
byId("file").append(written.plan);
byId("history").append(written.history);
editor.addEventListener("corrected", show);
written.addEventListener("written", show);
byId("back").href = href("/library") + (sessionStorage.getItem("nomarr-library") ?? ""); // with the filters of before

try {
  await show();
} catch (error) {
  if (![400, 404].includes(error.status)) throw error;
  byId("track").replaceChildren(h("h1", {}, "No such track"), empty({ heading: "It is not here", text: error.message, action: "To the library", to: "/library" }));
}
if (byId("rest")) {
  listen({ "queue:jobs": (job) => job.id === id && refresh() });
}
