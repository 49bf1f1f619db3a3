// An .nsp file that is there already, for the builder.
import { api, ApiError } from "../api.js";
import { toast } from "../elements/nom-toasts.js";

const SHOWN = ["all", "any", "name", "comment", "sort", "order", "limit"];
const MOST_BYTES = 1_000_000;

/** { text, sort, limit, name, comment } of a file that somebody chose. What the page has no place for is said. */
export async function read(file) {
  if (file.size > MOST_BYTES) throw new ApiError(`${file.name} is too large for a playlist’s rules`, 0);
  const rules = parsed(await file.text());
  if (!rules) throw new ApiError(`${file.name} is no smart playlist: it holds no JSON object`, 0);
  const { query, sort, limit, name, comment } = await api.post("/api/web/navidrome/parse", { rules });
  const others = Object.keys(rules).filter((key) => !SHOWN.includes(key));
  toast(`Opened: ${file.name}${others.length ? `, without ${others.join(", ")}, which this page does not know` : ""}`);
  return { text: query, sort, limit, name: name || file.name.replace(/\.(nsp|json)$/i, ""), comment };
}

function parsed(text) {
  try {
    const found = JSON.parse(text);
    return found && typeof found === "object" && !Array.isArray(found) ? found : null;
  } catch {
    return null;
  }
}
