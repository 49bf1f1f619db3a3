import { api } from "../api.js";
import { byId, fileName, h, href } from "../dom.js";
import { showError, toast } from "../elements/nom-toasts.js";
import { moods } from "../elements/nom-moods.js";
import { fields } from "../writes.js";
import "../elements/nom-folder-picker.js";

const steps = [...byId("steps").children];
const picker = document.querySelector("nom-folder-picker");

function open(number) {
  steps.forEach((step, n) => {
    step.inert = n > number;
    step.classList.toggle("is-done", n < number);
  });
  const heading = steps[number].querySelector("h2");
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
  steps[number].scrollIntoView({ block: "start", behavior: "smooth" });
}

/** Runs what a form does; meanwhile its buttons rest, and what goes wrong is said. */
function onSubmit(form, work) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    await busy(form, work);
  });
}

async function busy(form, work) {
  const buttons = [...form.querySelectorAll("button")];
  buttons.forEach((button) => (button.disabled = true));
  form.setAttribute("aria-busy", "true");
  try {
    await work();
  } catch (error) {
    showError(error);
  } finally {
    buttons.forEach((button) => (button.disabled = false));
    form.removeAttribute("aria-busy");
  }
}

document.querySelectorAll("[data-next]").forEach((button) => button.addEventListener("click", () => open(1)));

const password = byId("password");
if (password) {
  onSubmit(password, async () => {
    await api.post("/api/web/auth/password", {
      current_password: password.current_password.value,
      new_password: password.new_password.value,
    });
    password.reset();
    toast("The password was changed");
    open(1);
  });
}

onSubmit(byId("folder"), async () => {
  if (!picker.value) throw new Error("Choose the folder that holds your music first");
  open(2);
});
picker.addEventListener("change", () => byId("preview").replaceChildren());

const write = byId("write");
write.addEventListener("change", () => byId("preview").replaceChildren());
byId("try").addEventListener("click", () => busy(write, async () => {
  byId("preview").replaceChildren(h("p", { class: "soft is-busy" }, "Listening to five of your files …"));
  try {
    const { files } = await api.post("/api/web/preview-write", { root_path: picker.value, file_write_mode: write.mode.value });
    byId("preview").replaceChildren(...(files.length ? files.map(shown) : [h("p", {}, "There is no music in this folder; choose another one above.")]));
  } catch (error) {
    byId("preview").replaceChildren();
    throw error;
  }
}));

/** { strict, regular, loose }, each with the one before -> what nom-moods takes. */
function tiered({ strict, regular, loose }) {
  return loose.map((mood) => ({ mood, tier: strict.includes(mood) ? "strict" : regular.includes(mood) ? "regular" : "loose" }));
}

function shown(file) {
  const count = file.changes.length;
  const words = file.changes.filter((change) => change.field.includes(":mood-"));
  const text = file.problem ?? (count ? `${count} fields would be written` : "nothing would be written into it");
  return h("article", { class: "previewed stack" },
    h("h3", { class: "path" }, fileName(file.path)), moods(tiered(file.moods)),
    count ? h("details", {}, h("summary", {}, text), fields("What would be written", [...words, ...file.changes.filter((one) => !words.includes(one))].map((one) => [one.field, one.before, one.after])))
      : h("p", { class: file.problem ? "problem" : "hint" }, text));
}

onSubmit(write, async () => {
  const name = byId("folder").elements.name.value;
  const library = await api.post("/api/web/libraries", { name, root_path: picker.value, file_write_mode: write.mode.value });
  // The dashboard shows the scan; its answer comes only when all files are known.
  fetch(href(`/api/web/libraries/${library.id}/scan`), { method: "POST", keepalive: true });
  location.assign(href("/"));
});
