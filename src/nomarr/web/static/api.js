// Talks to the JSON API. Whatever fails rejects with an ApiError, whose message is the API's own sentence.
import { base, href } from "./dom.js";

export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** The login page, which leads back here. */
export function toLogin() {
  if (location.pathname === `${base}/login`) return;
  location.assign(href("/login", { next: location.pathname + location.search }));
}

async function call(method, path, { query, body, signal, headers = {} } = {}) {
  let answer;
  try {
    answer = await fetch(href(path, query), {
      method,
      signal,
      credentials: "same-origin",
      headers: body === undefined ? headers : { "Content-Type": "application/json", ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("Nomarr cannot be reached; is it running?", 0);
  }
  const isJson = (answer.headers.get("content-type") ?? "").includes("json");
  const content = isJson ? await answer.json() : null;
  // What was wrong may be a password or a key that was tried, and not the session.
  if (answer.status === 401 && path !== "/api/web/auth/login" && !headers["X-Api-Key"]) toLogin();
  if (!answer.ok) throw new ApiError(content?.detail ?? `Nomarr answered with status ${answer.status}`, answer.status);
  return content;
}

/** api.get("/api/web/files", { q: "blue" }), api.post("/api/web/worker/pause"), ... */
export const api = {
  get: (path, query, signal) => call("GET", path, { query, signal }),
  post: (path, body = {}, headers = {}) => call("POST", path, { body, headers }),
  put: (path, body) => call("PUT", path, { body }),
  patch: (path, body) => call("PATCH", path, { body }),
  delete: (path) => call("DELETE", path),
};
