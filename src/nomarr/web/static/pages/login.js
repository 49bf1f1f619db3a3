import { api } from "../api.js";
import { base, byId, href } from "../dom.js";

const form = byId("log-in");
const problem = form.querySelector(".problem");

/** Where somebody wanted to go; never away from here. */
function wanted() {
  const next = new URL(new URLSearchParams(location.search).get("next") ?? href("/"), location.origin);
  return next.origin === location.origin ? next.href : href("/");
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  problem.hidden = true;
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    await api.post("/api/web/auth/login", { password: form.password.value });
    const libraries = await api.get("/api/web/libraries");
    const isFirst = !libraries.length && new URL(wanted()).pathname === `${base}/`;
    location.assign(isFirst ? href("/welcome") : wanted());
  } catch (error) {
    problem.textContent = error.message;
    problem.hidden = false;
    button.disabled = false;
    form.password.select();
  }
});
