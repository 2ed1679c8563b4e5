// Light or dark: the system's wish until somebody chooses; the server draws the page by the cookie.
const dark = () =>
  (document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";

export function theme() {
  for (const button of document.querySelectorAll("[data-theme-toggle]")) {
    button.addEventListener("click", () => {
      const wanted = dark() ? "light" : "dark";
      document.documentElement.dataset.theme = wanted;
      document.cookie = `sentinel_theme=${wanted};path=/;max-age=31536000;samesite=strict`;
    });
  }
}
