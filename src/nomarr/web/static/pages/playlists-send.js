// The ways that a playlist goes: into Navidrome, beside the music, to whoever looks at the page.
import { api } from "../api.js";
import { h, plural, say } from "../dom.js";
import { ask } from "../elements/nom-confirm.js";
import { showError } from "../elements/nom-toasts.js";

const PUSHED = {
  created: "is in Navidrome now", updated: "is changed in Navidrome", unchanged: "was in Navidrome just like that",
  created_again: "was deleted in Navidrome, and is there again", adopted: "was in Navidrome already, and is Nomarr’s now",
};
const WRITTEN = { created: "Written:", updated: "Changed:", unchanged: "Was there just like that:" };

/** Does what the button says. `pushed` is called when Navidrome has it. */
export async function send(form, button, rules, pushed) {
  const { playlist_name: name, comment } = form.elements;
  const playlist = { ...rules, playlist_name: name.value.trim(), comment: comment.value.trim() };
  button.disabled = true;
  say("sent", "");
  try {
    await { push, write, download }[button.value](form.elements, playlist);
    if (button.value === "push") pushed();
  } catch (error) {
    showError(error);
  } finally {
    button.disabled = false;
  }
}

async function push({ kind, public: seen }, playlist) {
  const answer = await orReplace("/api/web/navidrome/playlists/push", {
    ...playlist, kind: kind.value, public: seen.value === "" ? null : seen.value === "true",
  });
  if (!answer) return;
  const other = answer.name_there === playlist.playlist_name ? "" : `, under the name ${answer.name_there}`;
  const unknown = answer.unmapped ? `; Navidrome does not know ${plural(answer.unmapped, "track")} of it` : "";
  say("sent", `${playlist.playlist_name} ${PUSHED[answer.action] ?? "is in Navidrome"}${other}, with ${plural(answer.playlist.tracks, "track")}${unknown}.`);
}

async function write({ library_id: library, folder }, playlist) {
  const answer = await orReplace("/api/web/navidrome/playlists/write", {
    ...playlist, library_id: Number(library.value), folder: folder.value.trim(),
  });
  if (answer) say("sent", `${WRITTEN[answer.action]} ${answer.path}`);
}

async function download(_, playlist) {
  const { content, navidrome_version: version } = await api.post("/api/web/navidrome/playlists/generate", playlist);
  const address = URL.createObjectURL(new Blob([content], { type: "application/json" }));
  h("a", { href: address, download: `${playlist.playlist_name.replace(/[\\/:*?"<>|]/g, "_")}.nsp` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
  say("sent", `Downloaded; Navidrome ${version} or newer reads it as it is meant.`);
}

/** Where something else is in the way, somebody may want it replaced; null if not. */
async function orReplace(path, body) {
  try {
    return await api.post(path, body);
  } catch (error) {
    if (error.status !== 409 || !error.message.includes("ask to replace it")) throw error;
    const [text] = error.message.split("; choose another name");
    const isWanted = await ask({ title: "Replace it?", text: `${text}. What it holds now is lost.`, action: "Replace it" });
    return isWanted ? api.post(path, { ...body, replace: true }) : null;
  }
}
