import { api } from "../api.js";
import { byId, clock, fileName, h, href, icon, number, plural, say } from "../dom.js";
import { atMostEvery, listen } from "../events.js";
import { ask } from "../elements/nom-confirm.js";
import { empty } from "../elements/nom-empty.js";
import { library as card } from "../elements/nom-library.js";
import { moods } from "../elements/nom-moods.js";
import { toast } from "../elements/nom-toasts.js";
import "../elements/nom-filters.js";
import "../elements/nom-library-form.js";
import "../elements/nom-pager.js";

const LIMIT = 50;
const WORDS = 4; // shown of a track
const WITH_REASONS = ["errors", "failed"];
const STATES = { pending: "waiting", running: "being heard", error: "problem", missing: "missing", new: "not heard" };
const cards = new Map();
const filters = document.querySelector("nom-filters");
const form = document.querySelector("nom-library-form");
const pager = document.querySelector("nom-pager");
let isScanning = false;

// the libraries

async function showLibraries() {
  const libraries = await api.get("/api/web/libraries");
  isScanning = libraries.some((one) => one.scan_status === "scanning");
  filters.libraries = libraries;
  for (const [id, element] of cards) {
    if (libraries.some((one) => one.id === id)) continue;
    element.closest("li").remove();
    cards.delete(id);
  }
  for (const one of libraries) {
    if (!cards.has(one.id)) {
      cards.set(one.id, card());
      byId("library-list").append(h("li", {}, cards.get(one.id)));
    }
    cards.get(one.id).library = one;
  }
  say("libraries-sum", libraries.map((one) => `${one.name}: ${plural(one.file_count, "track")}`).slice(0, 3).join(", ") + (libraries.length > 3 ? " …" : ""));
  if (byId("libraries").hidden && libraries.length) byId("libraries").open = !filters.hasAny;
  byId("libraries").hidden = byId("tracks").hidden = !libraries.length;
  byId("nothing").replaceChildren(...(libraries.length ? [] : [empty({ heading: "No library yet", text: "Tell Nomarr where your music is; nothing in it changes until you say so.", action: "Set it up", to: "/welcome" })]));
}

async function remove(library) {
  const tagged = (await api.get("/api/web/files", { library_id: library.id, status: "tagged", limit: 1 })).total;
  const answer = await ask({
    title: `Remove ${library.name}?`,
    text: `Nomarr forgets what it heard in ${plural(library.file_count, "track")}, and what it wrote there can no longer be undone. The files stay where they are` +
      (tagged ? `; ${plural(tagged, "file")} of them hold Nomarr’s tags, and keep them unless you say otherwise.` : "; none of them holds Nomarr’s tags."),
    option: tagged ? `First take Nomarr’s tags out of ${plural(tagged, "file")}` : null,
    action: "Remove the library",
  });
  if (!answer || (answer.isChosen && !(await takeTagsOut(library, tagged)))) return;
  const done = await api.delete(`/api/web/libraries/${library.id}`);
  toast(done.message);
  filters.forget("library_id", String(library.id));
  await Promise.all([showLibraries(), showTracks()]);
}

/** Whether the library may go now. */
async function takeTagsOut(library, all) {
  const kept = [];
  let done = 0, after = 0;
  do {
    const page = await api.post("/api/web/writes/remove", { library_id: library.id, limit: 100, after });
    kept.push(...page.results.filter((one) => one.why));
    done += page.results.filter((one) => one.status === "removed").length;
    after = page.next;
    cards.get(library.id).note(`Tags taken out of ${number(done)} of ${plural(all, "file")} …`);
  } while (after);
  cards.get(library.id).note("");
  return !kept.length || ask({
    title: `${plural(kept.length, "file")} could not be cleaned`,
    text: `${fileName(kept[0].path)}: ${kept[0].why}. Once the library is removed, Nomarr cannot take these tags out any more.`,
    action: "Remove the library all the same",
  });
}

byId("add").addEventListener("click", () => form.add());
byId("library-list").addEventListener("change-library", (event) => form.edit(event.detail));
byId("library-list").addEventListener("remove-library", (event) => remove(event.detail));
form.addEventListener("saved", async ({ detail: { library, isNew } }) => {
  await showLibraries();
  byId("libraries").open = true;
  cards.get(library.id).querySelector("button").focus();
  if (isNew) await cards.get(library.id).scan();
});

// the tracks

let asking = null;

async function showTracks() {
  asking?.abort();
  const mine = (asking = new AbortController());
  const query = filters.query;
  sessionStorage.setItem("nomarr-library", location.search); // for the way back from a track
  byId("list").setAttribute("aria-busy", "true");
  try {
    const wanted = Object.entries({ ...query, limit: LIMIT, offset: query.offset ?? 0 }).flatMap(([name, value]) => [value].flat().map((one) => [name, one]));
    const found = await api.get("/api/web/files", new URLSearchParams(wanted), mine.signal); // also "year=": tracks without one
    if (found.offset && found.offset >= found.total) return filters.go({ offset: null });
    draw(found, query);
  } catch (error) {
    if (error.name === "AbortError") return;
    byId("list").replaceChildren(empty({ heading: "This cannot be shown", text: error.message, action: "Show all tracks", to: "/library" }));
    say("count", "");
  } finally {
    if (asking === mine) byId("list").removeAttribute("aria-busy");
  }
  await showProblems(query);
}

function draw(found, query) {
  say("count", filters.hasAny ? `${plural(found.total, "track")} found` : plural(found.total, "track"));
  for (const [name, value] of Object.entries({ total: found.total, limit: found.limit, offset: found.offset })) pager.setAttribute(name, value);
  if (byId("list").contains(document.activeElement)) byId("tracks-title").focus();
  byId("list").replaceChildren(found.files.length ? table(found.files, WITH_REASONS.includes(query.status))
    : filters.hasAny ? empty({ heading: "No track is like that", text: "Take a filter away, or look for something else.", action: "Show all tracks", to: "/library" })
      : empty({ heading: "No tracks yet", text: "They show up here as soon as a scan has found them: press “Scan now” above." }));
}

function table(files, withReasons) {
  const heads = withReasons ? ["Title", "Artist", "Reason", ""] : ["Title", "Artist", "Album", "Moods", "Length"];
  const body = files.map((file) => h("tr", { role: "row" }, ...(withReasons ? problemCells(file) : trackCells(file))));
  // Folded on narrow screens, a table would lose its meaning to screen readers without the roles.
  return h("table", { class: withReasons ? "tracks has-reasons" : "tracks", role: "table" }, h("caption", { class: "unseen" }, "Tracks"),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, ...heads.map(head))), h("tbody", { role: "rowgroup" }, ...body));
}

function head(title) {
  const order = title.toLowerCase(), now = filters.query.sort ?? "path";
  if (!["title", "artist", "album"].includes(order)) return title ? h("th", { role: "columnheader", scope: "col" }, title) : h("td", { role: "cell" });
  const direction = now === order ? "ascending" : now === `-${order}` ? "descending" : null;
  return h("th", { role: "columnheader", scope: "col", "aria-sort": direction },
    h("button", { type: "button", class: "quiet sort", onclick: () => filters.go({ sort: direction === "ascending" ? `-${order}` : order, offset: null }) }, title, h("span", { "aria-hidden": "true" }, direction ? (direction === "ascending" ? "↑" : "↓") : "")));
}

const cell = (className, ...children) => h("td", { role: "cell", class: className }, ...children);

function who(file) {
  const state = file.status === "done" ? null : h("span", { class: `badge is-${file.status}` }, STATES[file.status] ?? file.status);
  return [cell("title", h("a", { href: href(`/tracks/${file.id}`), title: file.path }, file.title ?? fileName(file.path)), " ", state),
    cell("artist", file.artist ? h("a", { href: href("/library", { artist: file.artist }) }, file.artist) : h("span", { class: "soft" }, "Unknown artist"))];
}

function trackCells(file) {
  return [...who(file),
    cell("album", file.album ? h("a", { href: href("/library", { artist: file.artist, album: file.album, sort: "album" }) }, file.album) : ""),
    cell("words", file.analyzed_at ? moods(surest(file.moods)) : h("span", { class: "soft" }, "–")), cell("length amount", clock(file.duration_s))];
}

/** The moods that were asked for are among the few that are shown. */
function surest(words) {
  const asked = (filters.query.tag ?? []).map((tag) => tag.split(":").at(-1));
  const [wanted, others] = [words.filter((one) => asked.includes(one.mood)), words.filter((one) => !asked.includes(one.mood))];
  return [...wanted, ...others].slice(0, WORDS);
}

function problemCells(file) {
  return [...who(file), cell("reason", h("span", {}, file.error ?? ""), h("span", { class: "path soft" }, file.path)),
    cell("again", h("button", { type: "button", "aria-label": `Try ${file.title ?? fileName(file.path)} again`, onclick: (event) => retry(event.target, [file.id]) }, "Try again"))];
}

async function retry(button, ids) {
  button.disabled = true;
  try {
    const { retried } = await api.post("/api/web/files/retry", { ids });
    toast(retried ? `${plural(retried, "file")} will be tried again` : "Nothing is wrong with it any more");
    // What fails at once as it did before is no event.
    for (const seconds of [2, 5, 15, 60]) setTimeout(refreshTracks, 1000 * seconds);
  } finally {
    button.disabled = false;
  }
  await showTracks();
}

async function showProblems(query) {
  const { total } = await api.get("/api/web/files/errors", { limit: 1 });
  const isShown = WITH_REASONS.includes(query.status);
  byId("problems").hidden = !total;
  byId("problems").replaceChildren(...(total ? [icon("warning"),
    h("p", {}, h("strong", {}, `${plural(total, "file")} could not be handled. `), h("span", { class: "soft" }, isShown ? "The reason stands with each; most need the file to be replaced or made readable first." : "Each has its reason, and can be tried again.")),
    isShown ? h("button", { type: "button", class: "button", onclick: (event) => retry(event.target, null) }, total === 1 ? "Try it again" : `Try all ${number(total)} again`)
      : h("a", { class: "button", href: href("/library", { status: "errors" }) }, "Show them")] : []));
}

byId("tracks-title").tabIndex = -1;
filters.addEventListener("filter", showTracks);
pager.addEventListener("page", (event) => {
  event.preventDefault();
  filters.go({ offset: event.detail.offset || null });
  byId("tracks").scrollIntoView({ block: "start" });
});

// what happens

await Promise.all([showLibraries(), showTracks()]);
const refresh = atMostEvery(2000, showLibraries);
const refreshTracks = atMostEvery(5000, () => {
  // Not under somebody's fingers.
  if (!byId("list").contains(document.activeElement)) return showTracks();
});
let told = 0;
listen({
  "library:scan": ({ library_id: id }) => {
    refresh();
    if (told++ >= cards.size || !cards.has(id)) refreshTracks(); // the first ones only say how things are
  },
  "queue:jobs": ({ status }) => {
    if (status === "running") return;
    refresh();
    refreshTracks();
  },
});
setInterval(() => isScanning && refresh(), 3000);
