// A form under way is not sent again by a second click: what it makes would be made twice.
const PATIENCE = 10_000;

export function once() {
  let sent = new WeakMap();
  const underWay = (form) => Date.now() - (sent.get(form) ?? -PATIENCE) < PATIENCE;
  // Before anything else hears of it: nobody is asked twice either.
  document.addEventListener(
    "submit",
    (event) => {
      if (!underWay(event.target)) return;
      event.preventDefault();
      event.stopImmediatePropagation();
    },
    true,
  );
  // After whatever may have held it back.
  document.addEventListener("submit", (event) => {
    if (event.target.method === "post" && !event.defaultPrevented) sent.set(event.target, Date.now());
  });
  // A page that comes back as it was left may send it again.
  addEventListener("pageshow", () => (sent = new WeakMap()));
}
