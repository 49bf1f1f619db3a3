// What every page has: its frame, messages, and the way out.
import "./elements/nom-confirm.js";
import "./elements/nom-theme.js";
import { showError } from "./elements/nom-toasts.js";
import { ApiError, api } from "./api.js";
import { href } from "./dom.js";

addEventListener("unhandledrejection", (event) => {
  if (!(event.reason instanceof ApiError)) return;
  event.preventDefault();
  if (event.reason.status !== 401) showError(event.reason);
});

document.getElementById("log-out")?.addEventListener("click", async () => {
  await api.post("/api/web/auth/logout");
  location.assign(href("/login"));
});
