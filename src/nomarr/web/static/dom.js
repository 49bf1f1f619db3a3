// Nodes, addresses, and the few formats that all pages share.

/** Nomarr's address below its host: "" or, behind a proxy, say "/nomarr". */
export const base = document.documentElement.dataset.base;

/**
 * The address of one of our pages: href("/library", { q: "blue", offset: 0 }) leaves out what is null or "". URLSearchParams
 * go as they are: to a list of files, "year=" says something.
 */
export function href(path, query = {}) {
  const given = query instanceof URLSearchParams ? [...query] : Object.entries(query).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).filter((one) => one !== null && one !== undefined && one !== "").map((one) => [name, one]));
  return base + path + (given.length ? `?${new URLSearchParams(given)}` : "");
}

/** An element: h("a", { href, class: "chip", onclick }, "text", child). Text stays text; null and false are left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** One of static/icons.svg, for the eye alone. */
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(space, "use");
  use.setAttribute("href", `${new URL("icons.svg", import.meta.url).pathname}#${name}`);
  svg.append(use);
  return svg;
}

export const byId = (id) => document.getElementById(id);

/** Sets text only where it differs: a screen reader need not hear the same again. */
export function say(id, text) {
  const element = byId(id);
  if (element.textContent !== String(text)) element.textContent = text;
}

const numbers = new Intl.NumberFormat("en");
export const number = (value, digits) =>
  value === null || value === undefined ? "–"
    : digits === undefined ? numbers.format(value) : value.toLocaleString("en", { maximumFractionDigits: digits });
export const plural = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;
export const percent = (share, digits = 0) => `${(share * 100).toFixed(digits)} %`;

/** 75 -> "1 min 15 s", 7300 -> "2 h 2 min". */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const s = Math.round(seconds);
  const [days, hours, minutes] = [Math.floor(s / 86400), Math.floor(s / 3600) % 24, Math.floor(s / 60) % 60];
  if (days) return `${number(days)} d ${hours} h`;
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min ${s % 60} s` : `${s} s`;
}

/** 245.3 -> "4:05". */
export const clock = (seconds) =>
  seconds === null ? "" : `${Math.floor(Math.round(seconds) / 60)}:${String(Math.round(seconds) % 60).padStart(2, "0")}`;

/** "2027-01-15T08:00:00Z" -> "3 minutes ago". */
export function ago(time) {
  const seconds = (Date.parse(time) - Date.now()) / 1000;
  const [unit, size] = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]]
    .find(([, size]) => Math.abs(seconds) >= size) ?? ["second", 1];
  return new Intl.RelativeTimeFormat("en", { numeric: "auto" }).format(Math.round(Math.min(seconds, 0) / size), unit);
}

export const fileName = (path) => path.slice(path.lastIndexOf("/") + 1);
