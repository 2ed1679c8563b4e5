// What was typed into a form that makes something, and not sent, is not left without a question.
export function unsaved() {
  // One that was refused comes back as it was typed.
  let typed = document.querySelector('form[data-unsaved="typed"]');
  document.addEventListener("input", ({ target }) => {
    if (target.form?.matches("form[data-unsaved]")) typed = target.form;
  });
  document.addEventListener("submit", ({ target }) => {
    if (target === typed) typed = null;
  });
  addEventListener("beforeunload", (event) => {
    if (typed?.isConnected) event.preventDefault();
  });
}
