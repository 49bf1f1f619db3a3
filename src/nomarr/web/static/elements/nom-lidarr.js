// <nom-lidarr>: what to enter in Lidarr, a key for it, a test of both, and what Lidarr told last.
import { api } from "../api.js";
import { ago, base, h, plural } from "../dom.js";
import { copyable } from "./nom-copy.js";
import { shownOnce } from "./nom-keys.js";

const HOOK = "/api/v1/hooks/lidarr";
const TRIGGERS = "On Release Import, On Upgrade, On Rename, On Track Retag, On Album Delete, On Artist Delete";
const LOOKS_MS = 5000;
const WHY = {
  unmapped: "nothing is known by this path; add a path mapping below",
  outside_library: "it lies in none of the libraries that are switched on",
  unsupported: "it is no audio that Nomarr takes",
};

const compose = (address) => `services:
  lidarr:
    environment:
      NOMARR_URL: ${address}
      NOMARR_KEY_FILE: /config/nomarr.key   # a file that holds the key alone
    volumes:
      - ./nomarr-lidarr.sh:/scripts/nomarr-lidarr.sh:ro`;

customElements.define("nom-lidarr", class extends HTMLElement {
  connectedCallback() {
    const origin = location.origin + base;
    this.address = h("input", { name: "address", value: origin, autocomplete: "off", spellcheck: "false", "aria-describedby": "lidarr-address-hint", oninput: () => this.#fill() });
    this.url = copyable("", "the webhook’s URL");
    this.compose = copyable("", "the lines for Docker Compose");
    this.key = h("input", { name: "key", autocomplete: "off", spellcheck: "false", placeholder: "nom_…" });
    this.made = h("div", { "aria-live": "polite" });
    this.tested = h("p", { role: "status" });
    this.events = h("div", { class: "events" });
    const isLocal = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
    this.replaceChildren(
      h("div", { class: "stack is-narrow" },
        h("label", {}, "Nomarr’s address, as Lidarr reaches it", this.address),
        h("p", { class: "hint", id: "lidarr-address-hint" }, isLocal
          ? "You came here by an address that means this machine alone. In a container, Lidarr reaches Nomarr by its name, such as http://nomarr:8356."
          : "It is how you came here; from inside a container it may be another, such as http://nomarr:8356.")),
      h("section", { class: "stack", "aria-labelledby": "lidarr-hook" }, h("h3", { id: "lidarr-hook" }, "By webhook"),
        h("p", {}, "In Lidarr: Settings → Connect → + → Webhook. Then enter:"),
        h("dl", { class: "entries" },
          ...[["Notification triggers", TRIGGERS], ["URL", this.url], ["Method", "POST"],
            ["Headers", [h("code", {}, "X-Api-Key"), " with the key; before Lidarr 2.9.4 enter the key as Password, with any Username"]]]
            .map(([name, what]) => h("div", {}, h("dt", {}, name), h("dd", {}, what)))),
        h("form", { class: "fields", novalidate: true, onsubmit: (event) => {
          event.preventDefault();
          this.#test();
        } },
        h("label", {}, "API key for Lidarr", this.key),
        h("button", { type: "button", onclick: (event) => this.#make(event.target) }, "Make one"),
        h("button", { type: "submit", class: "main" }, "Test it")),
        this.made, this.tested),
      h("details", {}, h("summary", {}, "By script instead"),
        h("div", { class: "stack" }, h("p", {}, "Save ", h("a", { href: new URL("../nomarr-lidarr.sh", import.meta.url), download: "nomarr-lidarr.sh" }, "nomarr-lidarr.sh"),
          ", make it executable, mount it into Lidarr’s container, and choose it under Settings → Connect → + → Custom Script, with the triggers of above. It needs only sh and curl."), this.compose)),
      h("section", { class: "stack", "aria-labelledby": "lidarr-events" }, h("h3", { id: "lidarr-events" }, "What Lidarr told last"), this.events));
    this.#fill();
  }

  async show() {
    this.timer ??= setInterval(() => document.hidden || this.#showEvents(), LOOKS_MS);
    await this.#showEvents();
  }

  hide() {
    clearInterval(this.timer);
    this.timer = null;
  }

  #fill() {
    const address = this.address.value.trim().replace(/\/+$/, "");
    this.url.text = address + HOOK;
    this.compose.text = compose(address);
  }

  async #make(button) {
    button.disabled = true;
    try {
      const keys = await api.get("/api/web/keys");
      let name = "Lidarr";
      for (let n = 2; keys.some((key) => key.name === name); n++) name = `Lidarr ${n}`;
      const made = await api.post("/api/web/keys", { name, scope: "enqueue" });
      this.key.value = made.key;
      this.made.replaceChildren(shownOnce(made));
      this.made.firstElementChild.focus();
    } finally {
      button.disabled = false;
    }
  }

  /** As Lidarr's own Test button, but from here: the key and Nomarr's part are tried, the way between the two is not. */
  async #test() {
    try {
      const key = this.key.value.trim();
      if (!key) throw new Error("Enter the key first, or make one");
      const { message } = await api.post(HOOK, { eventType: "Test", instanceName: "Nomarr’s settings" }, { "X-Api-Key": key });
      this.tested.className = "good";
      this.tested.textContent = `${message}: the key is right. Lidarr’s own Test button tries the way from there to here.`;
      await this.#showEvents();
    } catch (error) {
      this.tested.className = "problem";
      this.tested.textContent = error.message;
    }
  }

  async #showEvents() {
    const events = await api.get("/api/web/lidarr/events");
    if (this.shown === JSON.stringify(events)) return;
    this.shown = JSON.stringify(events);
    this.events.replaceChildren(events.length ? h("ol", {}, ...events.map(row))
      : h("p", { class: "soft" }, "Nothing yet. Press Test in Lidarr’s own settings; it shows up here within seconds."));
  }
});

function row(event) {
  const [where, why] = [event.first_not_ours, WHY[event.why] ?? event.why];
  return h("li", {}, h("time", { class: "soft", datetime: event.at, title: event.at }, ago(event.at)),
    h("div", {}, h("strong", {}, event.event), ` – ${event.message}`, event.paths ? h("span", { class: "soft" }, ` (${plural(event.paths, "path")})`) : null,
      event.not_ours ? h("p", { class: "problem" }, `${plural(event.not_ours, "path")} led nowhere: `, h("span", { class: "path" }, where), ` – ${why}`) : null));
}
