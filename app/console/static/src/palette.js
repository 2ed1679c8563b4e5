// Ctrl-K: what the server finds for the words typed, walked through by arrows.
import { open } from "./dialogs.js";

export function palette(htmx) {
  const input = document.getElementById("palette-input");
  const found = document.getElementById("palette-found");
  if (!input) return;
  const options = () => [...found.querySelectorAll("[role=option]")];
  const choose = (at) => {
    options().forEach((option, index) => option.setAttribute("aria-selected", String(index === at)));
    const chosen = options()[at];
    input.setAttribute("aria-activedescendant", chosen?.id ?? "");
    chosen?.scrollIntoView({ block: "nearest" });
  };
  const chosenAt = () => options().findIndex((option) => option.getAttribute("aria-selected") === "true");

  document.getElementById("palette").addEventListener("toggle", (event) => {
    if (event.newState !== "open") return;
    input.select();
    htmx.trigger(input, "fill");
  });
  found.addEventListener("htmx:afterSwap", () => choose(0));
  document.body.addEventListener("htmx:afterSwap", (event) => event.detail.target === found && choose(0));
  input.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      choose((chosenAt() + step + options().length) % Math.max(1, options().length));
    } else if (event.key === "Enter" && chosenAt() >= 0) {
      event.preventDefault();
      options()[chosenAt()].click();
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    open("palette");
  });
}
