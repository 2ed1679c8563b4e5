// A button beside each command that copies it.
export function copyButtons() {
  if (!navigator.clipboard) return;
  for (const command of document.querySelectorAll("[data-copy]")) {
    const text = command.textContent.trim();
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button copy";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy"), 1500);
    });
    command.append(button);
  }
}
