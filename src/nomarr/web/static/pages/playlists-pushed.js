// The playlists that Navidrome has from Nomarr, and what it was told of.
import { api } from "../api.js";
import { ago, byId, h, number, plural, say } from "../dom.js";
import { ask } from "../elements/nom-confirm.js";
import { empty } from "../elements/nom-empty.js";
import { toast } from "../elements/nom-toasts.js";

const KINDS = { rules: "rules", list: "a list" };

/** Fills the table. `load` puts one into the builder. */
export async function showPushed(load) {
  const pushed = await api.get("/api/web/navidrome/playlists/pushed");
  byId("pushed").replaceChildren(pushed.length ? table(pushed, load)
    : empty({ heading: "None yet", text: "Push one above; it stays Nomarr’s to change here.", icon: "playlists" }));
}

function table(pushed, load) {
  return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Playlists in Navidrome" }, h("table", {},
    h("thead", {}, h("tr", {}, h("th", {}, "Name"), h("th", {}, "Kept as"), h("th", { class: "amount" }, "Tracks then"), h("th", {}, "Pushed"), h("th", {}, h("span", { class: "unseen" }, "What to do")))),
    h("tbody", {}, ...pushed.map((one) => h("tr", {}, h("th", { scope: "row", title: one.query }, one.name), h("td", {}, KINDS[one.kind] ?? one.kind),
      h("td", { class: "amount" }, number(one.tracks)), h("td", {}, h("time", { datetime: one.pushed_at }, ago(one.pushed_at))),
      h("td", {}, h("div", { class: "row end" },
        one.query ? h("button", { type: "button", class: "small", "aria-label": `Show the rules of ${one.name}`, onclick: () => load({ name: one.name, text: one.query }) }, "Show its rules") : null,
        h("button", { type: "button", class: "small", "aria-label": `Forget ${one.name}`, onclick: () => forget(one, false, load) }, "Forget"),
        h("button", { type: "button", class: "small", "aria-label": `Delete ${one.name}`, onclick: () => forget(one, true, load) }, "Delete"))))))));
}

async function forget({ id, name, tracks }, isDeleted, load) {
  const isWanted = await ask(isDeleted
    ? { title: `Delete ${name} in Navidrome?`, text: `The playlist with its ${plural(tracks, "track")} is gone there, and cannot be brought back; the tracks themselves stay.`, action: "Delete it" }
    : { title: `Forget ${name}?`, text: "It stays in Navidrome as it is. Nomarr no longer knows that it made it.", action: "Forget it" });
  if (!isWanted) return;
  toast((await api.post(`/api/web/navidrome/playlists/pushed/${id}/forget`, { also_there: isDeleted })).message);
  await showPushed(load);
}

/** When Navidrome was last told of written files, and the button that has it scan everything. */
export async function showScan() {
  const button = byId("full-scan");
  const show = ({ scanned_at: at, waiting_files: waiting, problem }) =>
    say("scan-state", problem || `${at ? `Last asked for a scan ${ago(at)}` : "Never asked for a scan yet"}; ${plural(waiting, "written file")} not yet told of`);
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      show(await api.post("/api/web/navidrome/scan", { full: true }));
    } finally {
      button.disabled = false;
    }
  });
  show(await api.get("/api/web/navidrome/scan"));
}
