// <nom-library>: one library as a card: how far it is, what becomes of its files, scanning it. Give it `library`, one of
// GET /api/web/libraries, again whenever that changed. It tells "change-library" and "remove-library" (detail: library).
import { api } from "../api.js";
import { h, number, plural } from "../dom.js";
import { showError, toast } from "./nom-toasts.js";

const SCANS = { never: "Never scanned", scanning: "Looking for music …", complete: "Scanned", cancelled: "Scan cancelled", failed: "Scan failed" };
const WATCHES = { off: "not watched", events: "watched for new music", poll: "looked through every minute" };
const WRITES = { native: "scores and mood words go into the files", moods: "mood words go into the files", none: "nothing is written into the files" };

/** Only where it differs: a screen reader need not hear the same again. */
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

customElements.define("nom-library", class extends HTMLElement {
  #library;

  #build() {
    const tell = (name) => () => this.dispatchEvent(new CustomEvent(name, { detail: this.#library, bubbles: true }));
    this.heading = h("h3");
    this.badge = h("span", { class: "badge", role: "status" });
    this.path = h("p", { class: "path soft" });
    this.bar = h("progress", { max: "1", value: "0" });
    this.sum = h("p", { class: "hint" });
    this.kept = h("p", { class: "hint" });
    this.problem = h("p", { class: "problem", role: "status" });
    this.said = h("p", { class: "hint", role: "status" });
    this.scanning = h("button", { type: "button", onclick: () => (this.#library.scan_status === "scanning" ? this.cancel() : this.scan()) });
    this.change = h("button", { type: "button", class: "quiet", onclick: tell("change-library") }, "Change");
    this.remove_ = h("button", { type: "button", class: "quiet", onclick: tell("remove-library") }, "Remove");
    this.append(h("div", { class: "row apart" }, this.heading, this.badge), this.path, this.bar, this.sum, this.kept, this.problem, this.said,
      h("div", { class: "row" }, this.scanning, this.change, this.remove_));
  }

  set library(library) {
    if (!this.heading) this.#build();
    this.#library = library;
    const { name, file_count: all, tagged_count: heard, scan_status: status } = library;
    say(this.heading, name);
    say(this.badge, library.is_enabled ? SCANS[status] : "Switched off");
    this.badge.className = `badge is-${library.is_enabled ? status : "off"}`;
    say(this.path, library.root_path);
    this.bar.max = Math.max(all, 1);
    this.bar.value = heard;
    this.bar.setAttribute("aria-label", `Tracks of ${name} that were heard`);
    say(this.sum, `${number(heard)} of ${plural(all, "track")} heard`);
    const kept = library.file_write_mode ? WRITES[library.file_write_mode] : "what goes into the files, the settings say";
    say(this.kept, `${WATCHES[library.watch_mode]}; ${kept}.`.replace(/^./, (first) => first.toUpperCase()));
    say(this.problem, [library.scan_error, library.watch_problem].filter(Boolean).join(". "));
    say(this.scanning, status === "scanning" ? "Cancel the scan" : "Scan now");
    this.scanning.setAttribute("aria-label", `${this.scanning.textContent}: ${name}`);
    this.change.setAttribute("aria-label", `Change ${name}`);
    this.remove_.setAttribute("aria-label", `Remove ${name}`);
    this.change.disabled = false;
    this.remove_.disabled = status === "scanning";
  }

  note(text) {
    say(this.said, text);
  }

  async scan() {
    this.library = { ...this.#library, scan_status: "scanning", scan_error: null };
    const { id, name } = this.#library;
    try {
      const { queued } = await api.post(`/api/web/libraries/${id}/scan`); // answers when all files are known
      toast(queued ? `${name}: ${plural(queued, "track")} to hear` : `${name}: nothing new to hear`);
    } catch (error) {
      if (!error.message.endsWith("was cancelled")) showError(error);
    }
    const now = await api.get(`/api/web/libraries/${id}`).catch(() => null); // removed meanwhile
    if (now) this.library = now;
  }

  async cancel() {
    toast((await api.delete(`/api/web/libraries/${this.#library.id}/scan`)).message);
    this.library = await api.get(`/api/web/libraries/${this.#library.id}`);
  }
});

export const library = () => document.createElement("nom-library");
