// The live tail: what is new comes on top, each event once, and at most a page of them is kept.
// It waits while somebody points at a row or stands on one, and while nobody looks.
const KEPT = 50;
const EACH = 5000;

const rows = () => document.getElementById("rows");
const ids = () => new Set([...rows().children].map((row) => row.dataset.id));
const busy = () => rows()?.matches(":hover") || rows()?.contains(document.activeElement);

function show(words, on) {
  const state = document.querySelector("[data-tail-state]");
  if (!state) return;
  state.classList.toggle("paused", !on);
  const place = state.querySelector("[data-tail-words]");
  if (place.textContent !== words) place.textContent = words;
}

function merge(known) {
  const seen = new Set();
  for (const row of [...rows().children]) {
    if (seen.has(row.dataset.id)) row.remove();
    seen.add(row.dataset.id);
  }
  // Ids are in the order of acceptance; one may come after a later one.
  const sorted = [...rows().children].sort((a, b) => (a.dataset.id < b.dataset.id ? 1 : -1));
  if (sorted.some((row, at) => row !== rows().children[at])) rows().append(...sorted);
  for (const row of sorted.slice(KEPT)) row.remove();
  const fresh = sorted.slice(0, KEPT).filter((row) => !known.has(row.dataset.id));
  for (const row of fresh) row.classList.add("fresh");
  return fresh.length;
}

export function tail() {
  let known = new Set();
  let count = 0;
  let said = 0;
  const announce = () => {
    const place = document.getElementById("tail-said");
    if (!place || !count || Date.now() - said < EACH) return;
    place.textContent = count === 1 ? "1 new event" : `${count} new events`;
    [count, said] = [0, Date.now()];
  };
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.detail.elt.id !== "tail") return;
    announce();
    const waits = document.hidden || busy();
    if (waits) event.preventDefault();
    show(waits ? "Paused while you are on a row." : "Live: new events come on top.", !waits);
  });
  document.addEventListener("htmx:sendError", (event) => {
    if (event.detail.elt.id === "tail") show("Nobody answers; trying again.", false);
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.target === rows()) known = ids();
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target !== rows()) return;
    count += merge(known);
    known = ids();
    announce();
  });
}
