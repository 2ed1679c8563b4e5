// The keys: `/` searches, `g` and a letter goes somewhere, `?` lists them all, `j` and `k` walk through rows.
import { open } from "./dialogs.js";

const PAUSE = 1200;
const KEPT = "sentinel-single-keys";

function places() {
  const words = document.getElementById("places").dataset.places.trim().split(/\s+/);
  return Object.fromEntries(Array.from({ length: words.length / 2 }, (_, at) => [words[2 * at], words[2 * at + 1]]));
}

const typing = (target) => target.closest("input, textarea, select, [contenteditable]") !== null;

function walk(step) {
  const rows = [...document.querySelectorAll("[data-rows] tbody tr")];
  if (!rows.length) return;
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const next = rows[Math.max(0, Math.min(rows.length - 1, at + step))];
  rows.forEach((row) => row.classList.toggle("chosen", row === next));
  next.querySelector("a")?.focus();
}

// Who speaks to the machine says letters all the time; so keys by themselves can be switched off (WCAG 2.1.4).
function choice() {
  const wanted = { single: localStorage.getItem(KEPT) !== "off" };
  // The sign-in page has no list of keys.
  const box = document.querySelector("[data-single-keys]");
  if (box) {
    box.checked = wanted.single;
    box.addEventListener("change", () => {
      wanted.single = box.checked;
      localStorage.setItem(KEPT, box.checked ? "on" : "off");
    });
  }
  return wanted;
}

export function keys() {
  let waiting = 0;
  const wanted = choice();
  const goes = places();
  const single = {
    "/": () => document.querySelector("[data-search]")?.focus(),
    "?": () => open("keys"),
    j: () => walk(1),
    k: () => walk(-1),
    n: () => document.querySelector("[data-new]")?.click(),
  };
  document.addEventListener("keydown", (event) => {
    if (!wanted.single || typing(event.target) || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const soon = Date.now() - waiting < PAUSE;
    waiting = event.key === "g" && !soon ? Date.now() : 0;
    if (soon && goes[event.key]) {
      event.preventDefault();
      location.assign(goes[event.key]);
    } else if (!soon && single[event.key]) {
      event.preventDefault();
      single[event.key]();
    }
  });
}
