import { api } from "../api.js";
import { byId, h, href, number, percent, plural, say } from "../dom.js";
import { chart } from "../elements/nom-chart.js";
import { empty } from "../elements/nom-empty.js";
import "../elements/nom-libraries.js";
import { tiers } from "../elements/nom-tiers.js";

const MOODS = 20; // most in a square
const TAGS = 25;
const GENRES = 15;
const SPAN = 150; // years; gaps in more than these are left out, so that the bars stay wide enough to be hit
const WIDEST = 99_999; // that a cell has room for
const short = new Intl.NumberFormat("en", { notation: "compact" });
const chooser = document.querySelector("nom-libraries");
let asked = 0; // a late answer about another library is not shown

/** Where the API lists the tracks of a number, the library shows them: by the same query. */
const tracks = (link) => (link ? href("/library") + new URL(link, location).search : null);
const linked = (count, link) => (count && link ? h("a", { href: tracks(link) }, number(count)) : number(count));
const amount = (...content) => h("td", { class: "amount" }, ...content);

function table(label, names, rows) {
  return h("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": label }, h("table", {},
    h("thead", {}, h("tr", {}, ...names.map((name, at) => h("th", { scope: "col", class: at ? "amount" : null }, name)))),
    h("tbody", {}, ...rows.map(([name, ...cells]) => h("tr", {}, h("th", { scope: "row" }, name), ...cells.map((cell) => amount(cell)))))));
}

function showCoverage({ libraries }) {
  byId("coverage").replaceChildren(table("Coverage by library", ["Library", "Tracks", "Heard", "Tagged", "Failed", "Share"], libraries.map((one) =>
    [one.library_name, ...["files", "analysed", "tagged", "failed"].map((name) => linked(one[name], one.links[name])), one.files ? percent(one.percentage / 100, 1) : "–"])));
}

function showMoods({ mood_distribution: moods, analysed_tracks: analysed, links }) {
  byId("analysed").replaceChildren(linked(analysed, links.analysed_tracks));
  const shown = moods.map((one) => ({ ...one, links: Object.fromEntries(Object.entries(one.links).map(([name, link]) => [name, tracks(link)])) }));
  byId("moods").replaceChildren(moods.length ? tiers(shown) : h("p", {}, "No track carries a mood yet."));
}

function square(id, caption, moods, cell) {
  if (moods.length < 2) byId(id).replaceChildren(h("p", {}, "It takes tracks of two moods at least."));
  else byId(id).replaceChildren(chart({ kind: "grid", caption, rows: moods, columns: moods, cells: moods.map((a) => moods.map((b) => cell(a, b))) }));
}

function showCorrelations({ mood_correlations: r, mood_links: links }) {
  square("correlations", "Correlation of two moods", Object.keys(r), (a, b) =>
    a === b ? { value: 0, text: "", title: "the same" } : { value: r[a][b], text: rounded(r[a][b]), href: tracks(links[a]?.[b]) });
}

const rounded = (r) => (Math.round(100 * r) / 100 + 0).toFixed(2).replace("-", "−"); // no −0.00

function showTogether({ counts, count_links: links }) {
  square("together", "Tracks that carry both moods", Object.keys(counts), (a, b) => {
    const count = counts[a][b];
    return { value: count / counts[a][a], text: count > WIDEST ? short.format(count) : number(count), title: plural(count, "track"), href: count ? tracks(links[a]?.[b]) : null };
  });
}

function showAgreement({ verdicts, agreed, moods }) {
  if (!verdicts) {
    byId("agreement").replaceChildren(h("p", {}, "Nobody has corrected a mood yet. Say on a track’s page which of its moods fit, and here you see how often the models hear it as you do."));
    return;
  }
  const share = (value) => (value === null ? "–" : percent(value));
  byId("agreement").replaceChildren(
    h("p", {}, `The models agree with ${percent(agreed)} of ${plural(verdicts, "verdict")}. Precision is how many of the tracks that they give the mood should have it; recall, how many of those that should have it they find.`),
    table("Agreement by mood", ["Mood", "Verdicts", "By hand", "By the models", "By both", "Precision", "Recall"], moods.map((one) =>
      [one.mood, ...[one.judged, one.should_carry, one.carry, one.both].map((count) => number(count)), share(one.precision), share(one.recall)])));
}

function showTags({ tag_frequencies: tags }) {
  byId("tags").replaceChildren(tags.length
    ? table("The most frequent tags", ["Tag", "Tracks", "Values"], tags.map((one) => [one.tag_key, linked(one.total_count, one.links.total_count), number(one.unique_values)]))
    : h("p", {}, "No track carries a tag yet."));
}

const plain = (shares, label = (value) => value) => shares.filter((one) => one.value !== null).map((one) => ({ at: one.value, label: label(one.value), value: one.count, href: tracks(one.links.count) }));
const silent = (shares, what) => shares.filter((one) => one.value === null && one.count).map((one) =>
  h("p", {}, h("a", { href: tracks(one.links.count) }, plural(one.count, "track")), ` without ${what}.`));

/** A bar for each number from the first to the last, also where there is nothing. */
function closed(items, label) {
  const [first, last] = [items[0].at, items.at(-1).at];
  if (last - first > SPAN) return items;
  const known = new Map(items.map((item) => [item.at, item]));
  return Array.from({ length: last - first + 1 }, (_, n) => known.get(first + n) ?? { label: label(first + n), value: 0 });
}

function histogram(id, caption, shares, label, what) {
  const items = plain(shares, label);
  const all = items.length ? closed(items, label) : [];
  byId(id).replaceChildren(...(all.length ? [chart({ kind: "columns", caption, items: all, from: all[0].label, to: all.length > 1 ? all.at(-1).label : "" })] : []), ...silent(shares, what));
}

function bars(id, caption, shares, what) {
  const items = plain(shares);
  byId(id).replaceChildren(...(items.length ? [chart({ kind: "bars", caption, items })] : []), ...silent(shares, what));
}

function showOverview(overview) {
  byId("files").replaceChildren(linked(overview.files, overview.links.files));
  say("hours", number(overview.total_duration_seconds / 3600, overview.total_duration_seconds < 36_000 ? 1 : 0));
  histogram("years", "Tracks by year", overview.years, String, "a year");
  histogram("durations", "Tracks by minutes", overview.durations, (minutes) => (minutes === 60 ? "60 min or more" : `${minutes} min`), "a duration");
  bars("genres", "Tracks by genre", overview.genres, "a genre");
  bars("formats", "Tracks by format", overview.formats, "a known format");
}

async function whatIsMissing() {
  const libraries = await api.get("/api/web/libraries");
  return libraries.length
    ? empty({ heading: "No music here yet", text: "Numbers show up as soon as a scan has found the first track.", action: "Go and scan it", to: "/library" })
    : empty({ heading: "No library yet", text: "Tell Nomarr where your music is.", action: "Set it up", to: "/welcome" });
}

const unheard = (files) => empty({ heading: "Nothing heard yet", text: `Moods show up here as soon as the first of ${plural(files, "track")} was listened to.`, action: "See how far it is", to: "/" });

async function show() {
  const turn = ++asked;
  const library = { library_id: chooser.value };
  for (const id of ["insights", "nothing"]) byId(id).hidden = true;
  byId("counting").hidden = false;
  say("counting", "Counting …");
  const get = (path, query) => api.get(path, { ...library, ...query });
  const analytics = (name, query) => get(`/api/web/analytics/${name}`, query);
  let answers;
  try {
    answers = await Promise.all([analytics("overview", { limit: GENRES }), analytics("coverage"), analytics("mood-distribution"), analytics("tag-correlations", { top_n: MOODS }),
      analytics("mood-cooccurrence", { top_n: MOODS }), get("/api/web/moods/agreement"), analytics("tag-frequencies", { limit: TAGS })]);
  } catch (error) {
    if (turn === asked) say("counting", error.message);
    return;
  }
  if (turn !== asked) return;
  const [overview, , distribution] = answers;
  [showOverview, showCoverage, showMoods, showCorrelations, showTogether, showAgreement, showTags].forEach((fill, n) => fill(answers[n]));
  for (const link of document.querySelectorAll("a[data-csv]")) link.href = address(link.dataset.csv, library.library_id);
  byId("heard").hidden = !distribution.analysed_tracks;
  byId("unheard").hidden = Boolean(distribution.analysed_tracks);
  byId("unheard").replaceChildren(unheard(overview.files));
  if (!overview.files) byId("nothing").replaceChildren(await whatIsMissing());
  byId("insights").hidden = !overview.files;
  byId("nothing").hidden = Boolean(overview.files);
  byId("counting").hidden = true;
}

function address(path, library) {
  const [place, query = ""] = path.split("?");
  return href(place, { ...Object.fromEntries(new URLSearchParams(query)), format: "csv", library_id: library });
}

chooser.addEventListener("change", show);
show();
