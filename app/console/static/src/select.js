// Boxes before rows: one that chooses them all, and a button that says how many are chosen.
export function selections() {
  for (const form of document.querySelectorAll("[data-select]")) {
    const boxes = () => [...form.querySelectorAll("tbody input[type=checkbox]")];
    const all = form.querySelector("[data-select-all]");
    const button = form.querySelector("[data-select-do]");
    if (!button) continue;
    const label = button.textContent;
    const tell = () => {
      const chosen = boxes().filter((box) => box.checked).length;
      button.disabled = chosen === 0;
      button.textContent = chosen ? `${label} (${chosen})` : label;
      if (all) all.checked = chosen > 0 && chosen === boxes().length;
    };
    form.addEventListener("change", (event) => {
      if (event.target === all) boxes().forEach((box) => (box.checked = all.checked));
      tell();
    });
    tell();
  }
}
