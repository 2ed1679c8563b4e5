// While Sentinel does not answer, a page that refreshes itself says since when what it shows is old.
export function unreachable() {
  const notes = document.getElementById("notes");
  let note = null;
  document.body.addEventListener("htmx:sendError", () => {
    if (note || !notes) return;
    note = document.createElement("p");
    note.className = "note bad";
    note.role = "alert";
    note.textContent = `Sentinel has not answered since ${new Date().toLocaleTimeString()}. What you see is as it was then.`;
    notes.append(note);
  });
  document.body.addEventListener("htmx:afterOnLoad", () => {
    note?.remove();
    note = null;
  });
}
