// Dialogs hang outside the app's own element, which alone knows whether the theme is light or dark: pass it on to the whole document.
// The masthead marks the page that is open; where it is narrow it is one line pushed sideways, and this page comes into view.

export default function ({ data }) {
  const app = document.querySelector(".stApp"), line = app.querySelector(".st-key-masthead");
  document.documentElement.style.colorScheme = getComputedStyle(app).colorScheme;
  for (const link of line?.querySelectorAll("a") ?? []) {
    if (link.getAttribute("href").replace(/^\//, "") !== data.page) { link.removeAttribute("aria-current"); continue; }
    link.setAttribute("aria-current", "page");
    if (line.scrollWidth > line.clientWidth) line.scrollLeft += link.getBoundingClientRect().left - line.clientWidth / 2;
  }
}
