// Keeps the list of messages up to date. A card never changes once it is shown, so that only new
// ones are put in: what the reader has opened or selected stays as it is.

const list = document.getElementById("messages");
const live = document.getElementById("live");
const liveText = document.getElementById("live-text");
let etag = "";

function merge(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html").body;
  const wanted = [...fresh.children];
  const ids = new Set(wanted.map((card) => card.id));
  for (const old of [...list.children]) if (!ids.has(old.id)) old.remove();
  let before = list.firstElementChild;
  for (const card of wanted) {
    if (before?.id === card.id) {
      before = before.nextElementSibling;
      continue;
    }
    card.classList.add("new");
    list.insertBefore(document.adoptNode(card), before);
  }
}

async function refresh() {
  const response = await fetch(list.dataset.source, {
    headers: etag ? { "If-None-Match": etag } : {},
    signal: AbortSignal.timeout(5000),
  });
  if (response.status === 304) return;
  if (!response.ok) throw new Error(`status ${response.status}`);
  merge(await response.text());
  etag = response.headers.get("ETag") ?? "";
}

async function tick() {
  if (!document.hidden) {
    try {
      await refresh();
      live.dataset.state = "on";
      liveText.textContent = "Live";
    } catch {
      live.dataset.state = "off";
      liveText.textContent = "Sentinel does not answer";
    }
  }
  setTimeout(tick, 1000);
}

live.hidden = false;
tick();
