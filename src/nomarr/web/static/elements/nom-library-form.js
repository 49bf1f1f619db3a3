// <nom-library-form data-mode="native" data-namespace="nom">: the dialog in which a library is added, add(), or changed,
// edit(library). Tells "saved" (detail: { library, isNew }). data-mode is the write mode that the settings say.
import { api } from "../api.js";
import { fileName, h } from "../dom.js";
import "./nom-folder-picker.js";

const WRITES = {
  native: ["Scores and mood words", "Every score and the mood words, for smart playlists and players that read tags."],
  moods: ["Mood words only", "Three short fields a file."],
  none: ["Nothing", "The files stay untouched; results live in Nomarr alone."],
};
const WATCHES = {
  off: ["Off", "New music is found by scans: those that you start, and the regular ones of the settings."],
  events: ["As the system tells", "Within a second. For local disks."],
  poll: ["By looking", "All folders are looked through every minute. For network folders, where no system tells what others do."],
};
const FIELDS = [["", "As the settings say"], ["none", "Leave both alone"], ["mood", "MOOD"], ["genre", "GENRE"], ["mood,genre", "MOOD and GENRE"]];

function choices(name, legend, options, chosen) {
  return h("fieldset", { class: "choices" }, h("legend", { class: "caption" }, legend), ...Object.entries(options).map(([value, [title, text]]) =>
    h("label", { class: "choice" }, h("input", { type: "radio", name, value, checked: value === chosen }), h("span", {}, h("strong", {}, title), h("small", {}, text)))));
}

customElements.define("nom-library-form", class extends HTMLElement {
  add() {
    this.#show(null);
  }

  edit(library) {
    this.#show(library);
  }

  #show(library) {
    const mode = WRITES[this.dataset.mode][0].toLowerCase();
    const picker = library ? null : document.createElement("nom-folder-picker");
    const root = library ? h("input", { name: "root_path", value: library.root_path, required: true }) : null;
    this.form = h("form", { class: "stack" },
      h("h2", { id: "library-form-title" }, library ? `Change ${library.name}` : "Add a library"),
      h("label", {}, "Name", h("input", { name: "name", required: true, maxlength: "200", value: library?.name ?? "Music" })),
      library ? h("label", {}, "Folder", root, h("small", {}, "Change it only where the folder was moved: all tracks are kept by their paths below it."))
        : h("div", { class: "stack", role: "group", "aria-label": "Folder" }, h("p", { class: "caption" }, "Folder, with everything below it"), picker),
      choices("file_write_mode", "What to write into the files", { "": ["As the settings say", `At the moment: ${mode}.`], ...WRITES }, library?.file_write_mode ?? ""),
      h("details", { open: Boolean(library) }, h("summary", {}, "Watching and other choices"), h("div", { class: "stack" },
        choices("watch_mode", "Watch for new music", WATCHES, library?.watch_mode ?? "off"),
        h("label", {}, "Fill as well, where a file has none of its own", h("select", { name: "standard_fields" }, ...FIELDS.map(([value, text]) => h("option", { value }, text))),
          h("small", {}, "MOOD gets the mood words, GENRE the genre that is heard most surely. What a file says itself is never written over.")),
        h("label", { class: "choice" }, h("input", { type: "checkbox", name: "is_enabled", checked: library?.is_enabled ?? true }),
          h("span", {}, h("strong", {}, "Switched on"), h("small", {}, "Switched off, it is neither scanned nor heard nor counted; nothing is forgotten."))),
        h("p", { class: "hint" }, "What holds for all libraries – what times files get, what becomes of hard links, which files are ignored – stands in the settings."))),
      h("div", { class: "row end actions" }, h("button", { type: "button", onclick: () => this.dialog.close() }, "Cancel"), h("button", { type: "submit", class: "main" }, library ? "Save" : "Add and scan it")));
    const { elements } = this.form;
    const fields = library?.standard_fields;
    elements.standard_fields.value = fields ? ["mood", "genre"].filter((one) => fields.includes(one)).join() || "none" : "";
    let isNamed = Boolean(library);
    elements.name.addEventListener("input", () => (isNamed = true));
    picker?.addEventListener("change", () => !isNamed && picker.value && (elements.name.value = fileName(picker.value)));
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#save(library, picker);
    });
    this.dialog = h("dialog", { class: "is-wide", "aria-labelledby": "library-form-title", onclose: () => this.dialog.remove() }, this.form);
    this.replaceChildren(this.dialog);
    this.dialog.showModal();
    elements.name.select();
  }

  #given(library, picker) {
    const { elements } = this.form;
    const fields = elements.standard_fields.value;
    return {
      name: elements.name.value,
      root_path: library ? elements.root_path.value : picker.value,
      file_write_mode: elements.file_write_mode.value || null,
      standard_fields: fields === "" ? null : fields === "none" ? [] : fields.split(","),
      watch_mode: elements.watch_mode.value,
      is_enabled: elements.is_enabled.checked,
    };
  }

  async #save(library, picker) {
    const given = this.#given(library, picker);
    const button = this.form.querySelector("[type=submit]");
    button.disabled = true;
    try {
      if (!given.root_path) throw new Error("Choose the folder that holds the music first");
      const saved = library ? await api.patch(`/api/web/libraries/${library.id}`, given) : await api.post("/api/web/libraries", given);
      this.dialog.close();
      this.dispatchEvent(new CustomEvent("saved", { detail: { library: saved, isNew: !library } }));
    } catch (error) {
      this.#refuse(error);
    } finally {
      button.disabled = false;
    }
  }

  /** A message below an open dialog could not be seen. */
  #refuse(error) {
    this.form.querySelector(".refusal")?.remove();
    const text = h("p", { class: "problem refusal", role: "alert" }, error.message);
    this.form.lastElementChild.before(text);
    text.scrollIntoView({ block: "nearest" });
  }
});
