// What is written into one file: writes().plan shows what would change, writes().history what was changed, with undo.
// show(track) asks for both; "written" is told when the file was changed or is going to be.
import { api } from "./api.js";
import { ago, fileName, h, plural } from "./dom.js";
import { ask } from "./elements/nom-confirm.js";
import { showError, toast } from "./elements/nom-toasts.js";

const ACTIONS = { write: "Written", remove: "Nomarr’s tags taken out", undo: "Undone" };
const SHOWN = 20;
const LAST = { remove: "Nomarr’s tags were taken out", undo: "The last write was undone" };

/** Fields of a file, each [name, values before, values after]; a long list can be scrolled, by keyboard too. */
export function fields(label, entries) {
  const value = (before, after) => [before.length ? h("del", {}, before.join(", ")) : null, before.length && after.length ? " → " : null,
    after.length ? h("ins", {}, after.join(", ")) : " taken out"];
  return h("div", { class: "boxed", tabindex: "0", role: "region", "aria-label": label }, h("dl", { class: "changes" },
    ...entries.map(([name, before, after]) => h("div", {}, h("dt", {}, name), h("dd", {}, ...value(before, after))))));
}

class Writes extends EventTarget {
  plan = h("div", { class: "stack" });
  history = h("div", { class: "stack" });

  async show(track) {
    this.track = track;
    const [plan, { writes }] = await Promise.all([
      track.analyzed_at && track.status !== "missing" ? api.post("/api/web/writes/plan", { file_ids: [track.id] }) : null,
      api.get("/api/web/writes", { file_id: track.id, limit: SHOWN })]);
    this.#showPlan(plan, writes[0]);
    this.#showHistory(writes);
  }

  #showPlan(plan, latest) {
    const { written } = this.track;
    const found = plan?.files[0];
    const holds = written.hash ? `Written ${ago(written.at)}${written.calibration === "reference" ? "" : `, by calibration ${written.calibration}`}.` : LAST[latest?.action] ? `${LAST[latest.action]} ${ago(latest.at)}.` : "Nothing of Nomarr’s was written into it.";
    const state = !plan ? "" : found?.problem ? found.problem : found ? `${plural(found.changes.length, "field")} would change with the next write${written.is_due ? ", which is due" : ""}:`
      : written.hash ? "The file holds exactly what it should." : "Its library says that nothing is to be written, or its tags were taken out before.";
    const buttons = [
      found?.changes.length ? this.#button("Write it now", () => this.#apply(), "main") : null,
      written.hash ? this.#button("Take Nomarr’s tags out", () => this.#remove()) : null];
    this.plan.replaceChildren(h("p", {}, holds, " ", h("span", { class: found?.problem ? "problem" : "soft" }, state)),
      ...(found?.changes.length ? [fields("What would change", found.changes.map((one) => [one.field, one.before, one.after]))] : []),
      ...(buttons.some(Boolean) ? [h("div", { class: "row" }, ...buttons.filter(Boolean))] : []));
  }

  #showHistory(entries) {
    if (!entries.length) {
      this.history.replaceChildren(h("p", { class: "soft" }, "Nothing was written yet."));
      return;
    }
    this.history.replaceChildren(h("ol", { class: "history" }, ...entries.map((one) => h("li", {},
      h("div", { class: "row apart" }, h("p", {}, h("strong", {}, ACTIONS[one.action] ?? one.action), " ", h("time", { class: "soft", datetime: one.at, title: one.at }, ago(one.at)),
        one.undone_at ? h("span", { class: "soft" }, `, undone ${ago(one.undone_at)}`) : null),
      one.can_undo ? this.#button("Undo", () => this.#undo(one)) : null),
      Object.keys(one.before).length ? h("details", {}, h("summary", {}, `${plural(Object.keys(one.before).length, "field")} that Nomarr had there before`), fields("Before", Object.entries(one.before).map(([name, values]) => [name, [], values])))
        : h("p", { class: "hint" }, "There was nothing of Nomarr’s in the file before.")))));
    if (entries.length === SHOWN) this.history.append(h("p", { class: "hint" }, `The latest ${SHOWN}.`));
  }

  #button(text, work, className = null) {
    return h("button", { type: "button", class: className, onclick: async (event) => {
      event.target.disabled = true;
      try {
        if (await work()) this.dispatchEvent(new Event("written"));
      } finally {
        event.target.disabled = false;
      }
    } }, text);
  }

  async #apply() {
    const { queued } = await api.post("/api/web/writes/apply", { file_ids: [this.track.id] });
    toast(queued ? "A worker writes it in a moment" : "There is nothing to write");
    return true;
  }

  async #remove() {
    const name = this.track.title ?? fileName(this.track.path);
    const isSure = await ask({ title: "Take Nomarr’s tags out?", text: `1 file, ${name}: every field of Nomarr’s goes, everything else stays. It can be undone; until you say “Write it now”, Nomarr leaves the file alone.`, action: "Take them out" });
    if (isSure) this.#say((await api.post("/api/web/writes/remove", { file_ids: [this.track.id] })).results[0], "The tags were taken out");
    return isSure;
  }

  async #undo(entry) {
    const one = (await api.post("/api/web/writes/undo", { id: entry.id })).results[0];
    if (one.status !== "refused") return this.#say(one, "The file holds again what it held before; Nomarr leaves it alone now");
    const anyway = await ask({ title: "Undo it all the same?", text: `It was not undone: ${one.why}. Undoing gives Nomarr’s own fields what they held before this write; other fields stay as they are.`, action: "Undo it" });
    return anyway && this.#say((await api.post("/api/web/writes/undo", { id: entry.id, even_if_changed: true })).results[0], "The file holds again what it held before");
  }

  #say(outcome, text) {
    if (outcome?.why) {
      showError(new Error(outcome.why));
      return true;
    }
    toast(outcome?.notes.length ? `${text} (${outcome.notes.join("; ")})` : text);
    return true;
  }
}

export const writes = () => new Writes();
