// One section at a time, named by the address behind the #. A section's elements load when it is opened: show(), hide().
import "../elements/nom-about.js";
import "../elements/nom-backups.js";
import "../elements/nom-config.js";
import "../elements/nom-keys.js";
import "../elements/nom-lidarr.js";
import "../elements/nom-log.js";
import "../elements/nom-mappings.js";
import "../elements/nom-navidrome.js";
import "../elements/nom-password.js";
import "../elements/nom-workers.js";

const sections = [...document.querySelectorAll(".section")];
const links = [...document.querySelectorAll(".sections a")];
let opened = null;

const elementsOf = (section) => [...section.querySelectorAll(":scope > *")].filter((element) => element.show);

function open() {
  const wanted = sections.find((section) => `#${section.id}` === location.hash) ?? opened ?? sections[0];
  if (wanted === opened) return;
  const isFirst = !opened;
  for (const element of opened ? elementsOf(opened) : []) element.hide?.();
  for (const section of sections) section.hidden = section !== wanted;
  for (const link of links) {
    const isHere = link.hash === `#${wanted.id}`;
    if (isHere) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
    if (isHere) link.parentElement.scrollTo({ left: link.offsetLeft - link.parentElement.offsetLeft - 16 });
  }
  opened = wanted;
  if (!isFirst) wanted.querySelector("h2").focus({ preventScroll: true });
  scrollTo(0, 0);
  return Promise.all(elementsOf(wanted).map((element) => element.show()));
}

addEventListener("hashchange", open);
await open();
