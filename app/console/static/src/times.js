// Keeps "3m ago" true while a page stays open, in the words that the server uses.
const UNITS = [[86400, "d"], [3600, "h"], [60, "m"], [1, "s"]];

export function span(seconds) {
  const parts = [];
  let left = Math.floor(seconds);
  for (const [size, unit] of UNITS) {
    if (left >= size && parts.length < 2) {
      parts.push(`${Math.floor(left / size)}${unit}`);
      left %= size;
    } else if (parts.length) break;
  }
  return parts.join(" ");
}

function refresh() {
  for (const time of document.querySelectorAll("time[data-ago]")) {
    const apart = (Date.now() - Date.parse(time.dateTime)) / 1000;
    if (Math.abs(apart) < 1) time.textContent = "now";
    else time.textContent = apart > 0 ? `${span(apart)} ago` : `in ${span(-apart)}`;
  }
}

export function times() {
  setInterval(refresh, 1000);
}
