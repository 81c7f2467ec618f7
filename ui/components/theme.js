// Dialogs hang outside the app's own element, which alone knows whether the theme is light or dark: pass it on to the whole document.

export default function () {
  const app = document.querySelector(".stApp");
  document.documentElement.style.colorScheme = getComputedStyle(app).colorScheme;
}
