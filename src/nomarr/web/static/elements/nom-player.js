// <nom-player>: plays a file as it is. What the browser cannot play is said, and can be downloaded instead.
import { fileName, h, href } from "../dom.js";

customElements.define("nom-player", class extends HTMLElement {
  show(id, track) {
    const source = href(`/api/web/files/${id}/audio`);
    const name = track.title ?? fileName(track.path);
    const audio = h("audio", { controls: true, preload: "metadata", src: source, "aria-label": `Play ${name}` });
    const ending = track.path.slice(track.path.lastIndexOf(".") + 1);
    audio.addEventListener("error", async () => {
      const answer = await fetch(source, { headers: { Range: "bytes=0-0" } }).catch(() => null);
      const why = answer?.ok ? `This browser cannot play ${ending} files. `
        : (await answer?.json().catch(() => null))?.detail ?? "The file cannot be reached.";
      this.replaceChildren(h("p", { class: "hint" }, why, answer?.ok ? h("a", { href: source, download: fileName(track.path) }, "Download it") : null));
    });
    this.replaceChildren(audio);
  }
});

export function player(id, track) {
  const element = document.createElement("nom-player");
  element.show(id, track);
  return element;
}
