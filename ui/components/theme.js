// Dialogs hang outside the app's own element, which alone knows whether the theme is light or dark: pass it on to the whole document.
// The masthead marks the page that is open; where it is narrow it is one line pushed sideways, this page comes into view, and a
// button unfolds all pages. Where it is wide, its last entry opens the view for an audience (present.js).

const edge = (element, side, otherwise) => element?.getBoundingClientRect()[side] ?? otherwise;
const middle = (element) => (edge(element, "left") + edge(element, "right")) / 2;

function mark(page, line, left) {
  if (line.dataset.page !== page) return; // another page was opened meanwhile
  let found = page === "";
  for (const link of line.querySelectorAll("a")) {
    if (link.getAttribute("href")?.replace(/^\//, "") !== page) { link.removeAttribute("aria-current"); continue; }
    found = true;
    link.setAttribute("aria-current", "page");
    if (line.scrollWidth > line.clientWidth) line.scrollLeft += middle(link) - (edge(line.querySelector("a"), "right", 0) + edge(line.querySelector(".masthead-more"), "left", line.clientWidth)) / 2;
  }
  if (!found && left) setTimeout(() => mark(page, line, left - 1), 150); // the links are not all there yet
}

function addButtons(line, root) {
  const button = Object.assign(document.createElement("button"), { type: "button", className: "masthead-more", textContent: "All pages" });
  const set = (open) => {
    line.dataset.open = String(open);
    button.setAttribute("aria-expanded", String(open));
  };
  button.addEventListener("click", () => set(line.dataset.open !== "true"));
  line.addEventListener("click", (event) => { if (event.target.closest("a")) set(false); });
  set(false);
  const present = Object.assign(document.createElement("button"), { type: "button", className: "masthead-present", textContent: "Present", title: "Larger, for an audience (key P)" });
  present.addEventListener("click", () => dispatchEvent(new Event("liminal-present")));
  root.replaceChildren(button, present);
}

export default function ({ data, parentElement }) {
  const app = document.querySelector(".stApp"), line = app.querySelector(".st-key-masthead");
  document.documentElement.style.colorScheme = getComputedStyle(app).colorScheme;
  if (!line) return;
  const root = parentElement.querySelector(".theme-root");
  if (!root.firstChild) addButtons(line, root);
  line.dataset.page = data.page;
  mark(data.page, line, 20);
}
