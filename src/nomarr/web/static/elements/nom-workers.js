// <nom-workers>: who listens, on which machine, to what; holding them back, and starting the server anew.
import { api } from "../api.js";
import { fileName, h, number, plural, say } from "../dom.js";
import { atMostEvery, listen } from "../events.js";
import { ask } from "./nom-confirm.js";
import { toast } from "./nom-toasts.js";

const STATES = { busy: "listening", idle: "waiting", starting: "starting", stopping: "ending" };
const LOOKS_MS = 5000;

customElements.define("nom-workers", class extends HTMLElement {
  connectedCallback() {
    this.state = h("p", { role: "status", id: "workers-state" });
    this.list = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Every worker" });
    this.pause = h("button", { type: "button", disabled: true, onclick: () => this.#turn() }, "Pause");
    this.replaceChildren(this.state, h("div", { class: "row" }, this.pause, h("button", { type: "button", onclick: () => this.#restart() }, "Restart the server")),
      h("p", { class: "hint" }, "Paused, they finish the file in hand and take no other, on every machine, until they may go on; a restart of the server changes nothing about that. How many there are, and when they may work, stands under ",
        h("a", { href: "#general" }, "General"), "."), this.list);
    this.refresh = atMostEvery(1000, () => this.#show());
  }

  async show() {
    await this.#show();
    this.stop ??= listen({ worker: this.refresh });
    this.timer ??= setInterval(() => document.hidden || this.refresh(), LOOKS_MS);
  }

  hide() {
    this.stop?.();
    clearInterval(this.timer);
    this.stop = this.timer = null;
  }

  async #show() {
    const { workers, queue } = await api.get("/api/web/info");
    this.workers = workers;
    this.pause.textContent = workers.paused ? "Go on" : "Pause";
    this.pause.disabled = false;
    const machines = new Set(workers.processes.map((one) => one.host)).size;
    say("workers-state", `${workers.paused ? "Paused. " : ""}${plural(workers.processes.length, "worker")} on ${plural(machines, "machine")}; ${plural(queue.depth, "file")} to do.`);
    this.list.replaceChildren(workers.processes.length ? table(workers)
      : h("p", { class: "soft" }, "No worker is alive. Set their number under General and restart, or run “nomarr worker” on a machine that reaches the database."));
  }

  async #turn() {
    this.pause.disabled = true;
    try {
      await api.post(`/api/web/worker/${this.workers.paused ? "resume" : "pause"}`);
    } finally {
      await this.#show();
    }
  }

  async #restart() {
    const busy = this.workers.processes.filter((one) => one.state === "busy").length;
    const text = `${this.workers.processes.length === 1 ? "1 worker ends" : `${number(this.workers.processes.length)} workers end`} after the file in hand${busy ? ` (${plural(busy, "file")})` : ""}, and what is left is done after the start; the server is away for some seconds. Logins and the queue stay, nothing is lost.`;
    if (!(await ask({ title: "Restart the server?", text, action: "Restart", isHarmless: true }))) return;
    const { uptime_s: before } = await api.get("/api/web/info");
    toast((await api.post("/api/web/worker/restart")).message);
    await this.#back(before);
  }

  /** Waits until the server is another one. */
  async #back(before) {
    const since = Date.now();
    for (;;) {
      await new Promise((done) => setTimeout(done, 1000));
      try {
        const { uptime_s: now } = await api.get("/api/web/info");
        if (now < before + (Date.now() - since) / 1000 - 2) break;
      } catch (error) {
        if (error.status) throw error; // it is there and refuses; away is what was to be expected
      }
    }
    toast("The server is back");
    await this.#show();
  }
});

function table({ processes, paused }) {
  const heads = ["Machine", "State", "File", "Files / min", "Memory", "Done"];
  return h("table", { class: "workers" }, h("caption", { class: "unseen" }, "Workers"),
    h("thead", {}, h("tr", {}, ...heads.map((text, n) => h("th", { scope: "col", class: n > 2 ? "amount" : null }, text)))),
    h("tbody", {}, ...processes.map((one) => h("tr", {},
      h("th", { scope: "row" }, one.host, h("span", { class: "soft" }, ` process ${one.pid}`)),
      h("td", {}, h("span", { class: `badge is-${one.state}` }, paused && one.state === "idle" ? "paused" : STATES[one.state] ?? one.state), one.trouble ? h("p", { class: "problem" }, one.trouble) : null),
      h("td", { title: one.file }, one.file ? fileName(one.file) : h("span", { class: "soft" }, "–")),
      h("td", { class: "amount" }, number(one.rate_per_minute, 1)),
      h("td", { class: "amount" }, one.memory_bytes === null ? "–" : `${number(one.memory_bytes / 2 ** 20, 0)} MB`),
      h("td", { class: "amount" }, number(one.files))))));
}
