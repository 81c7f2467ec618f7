// Present: the page for an audience, and a talk: a list of views with a key to the next one, kept in this browser alone.
// Links of views are in localStorage, stills of them (the page as it was, without scripts) in IndexedDB.

const TALK = "liminal.talk", PRESENTING = "liminal.presenting", PLACE = "liminal.talk.place";

const make = (tag, values = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), values);
  element.append(...children);
  return element;
};

function stills(mode, work) {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(TALK, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore("stills");
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
      const request = work(opening.result.transaction("stills", mode).objectStore("stills"));
      request.onsuccess = () => { resolve(request.result); opening.result.close(); };
      request.onerror = () => { reject(request.error); opening.result.close(); };
    };
  });
}

const asData = (blob) => new Promise((resolve) => {
  const reader = new FileReader();
  reader.onload = () => resolve(reader.result);
  reader.readAsDataURL(blob);
});
const fetched = async (address) => asData(await (await fetch(address)).blob());

// The rules in force as text. Of fonts only ours, which the exported page holds once.
function styleText() {
  const rules = [];
  for (const sheet of [...document.styleSheets, ...document.adoptedStyleSheets]) {
    try { for (const rule of sheet.cssRules) if (!(rule instanceof CSSFontFaceRule)) rules.push(rule.cssText); } catch { /* another site's */ }
  }
  return rules.join("\n");
}

const WITHOUT = "script, style, link, meta, noscript, iframe, .talk-bar, .talk-panel, .masthead-more, [data-testid=stIconMaterial]";

// The page as it is seen, as HTML without scripts that needs no server.
async function takeStill() {
  const copy = document.documentElement.cloneNode(true);
  const both = (selector) => { const copies = copy.querySelectorAll(selector); return [...document.querySelectorAll(selector)].map((element, place) => [element, copies[place]]); };
  const pictures = new Map();
  await Promise.all(both("img").map(async ([image, still]) => {
    still.removeAttribute("loading");
    const address = image.currentSrc || image.src;
    if (!image.complete || !image.naturalWidth) return still.removeAttribute("src");
    if (address.startsWith("data:")) return;
    if (!pictures.has(address)) pictures.set(address, fetched(address));
    still.src = await pictures.get(address);
  }));
  for (const [range, still] of both("input[type=range]")) still.setAttribute("value", range.value);
  for (const [canvas, still] of both("canvas")) {
    const picture = make("img", { alt: canvas.getAttribute("aria-label") ?? "", className: canvas.className });
    try { picture.src = canvas.toDataURL(); } catch { continue; }
    const { width, height } = canvas.getBoundingClientRect();
    picture.style.cssText = `${canvas.style.cssText};width:${width}px;height:${height}px`;
    still.replaceWith(picture);
  }
  for (const element of copy.querySelectorAll(WITHOUT)) element.remove();
  copy.querySelector("head").replaceChildren(make("meta", { httpEquiv: "Content-Security-Policy", content: "default-src 'none'; img-src data:; style-src 'unsafe-inline'; font-src data:" }), make("style", { textContent: `/*fonts*/\n${styleText()}` }));
  return { html: `<!doctype html>${copy.outerHTML}`, width: innerWidth, height: innerHeight, top: document.querySelector("[data-testid=stMain]")?.scrollTop ?? 0 };
}

const DECK_STYLE = `html,body{margin:0;height:100%;background:#14161d;color:#ece8e1;font:18px/1.4 system-ui,sans-serif;overflow:hidden}
iframe{position:absolute;left:50%;top:50%;border:0;transform-origin:0 0;background:#fff}
p{position:absolute;left:0;right:0;bottom:0;margin:0;padding:.5rem 1rem;font-size:.8rem;background:#14161dcc;opacity:0;transition:opacity .3s}
body:hover p{opacity:1}a{color:#aab6f2}main{display:grid;place-content:center;height:100%;text-align:center;font-size:2rem}`;

// Runs in the exported page.
const DECK = `(() => {
  const { fonts, views } = JSON.parse(document.getElementById("talk").textContent);
  const frame = document.querySelector("iframe"), words = document.querySelector("p"), bare = document.querySelector("main");
  let at = 0;
  const fit = () => {
    const view = views[at], scale = Math.min(innerWidth / view.width, innerHeight / view.height);
    frame.style.width = view.width + "px"; frame.style.height = view.height + "px";
    frame.style.transform = "scale(" + scale + ") translate(-50%, -50%)";
  };
  const show = (place) => {
    at = Math.min(views.length - 1, Math.max(0, place));
    const view = views[at], link = Object.assign(document.createElement("a"), { href: view.link, textContent: view.title });
    words.replaceChildren((at + 1) + " of " + views.length + ": ", link);
    frame.hidden = !view.html; bare.hidden = Boolean(view.html);
    if (!view.html) return bare.replaceChildren(link.cloneNode(true));
    frame.onload = () => { const main = frame.contentDocument.querySelector("[data-testid=stMain]"); if (main) main.scrollTop = view.top; };
    frame.srcdoc = view.html.replace("/*fonts*/", () => fonts);
    fit();
  };
  addEventListener("resize", fit);
  addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, PageDown: 1, " ": 1, ArrowLeft: -1, PageUp: -1 }[event.key];
    if (step) { event.preventDefault(); show(at + step); }
  });
  addEventListener("click", (event) => { if (!event.target.closest("a")) show(at + (event.clientX < innerWidth / 3 ? -1 : 1)); });
  show(0);
})();`;

class Talk {
  constructor() {
    this.bar = make("div", { className: "talk-bar", role: "toolbar", ariaLabel: "Talk" });
    this.panel = make("dialog", { className: "talk-panel", ariaLabel: "My talk" });
    const button = (words, pressed) => { const element = make("button", { type: "button", textContent: words }); element.addEventListener("click", pressed); return element; };
    this.button = button;
    this.back = button("‹", () => this.step(-1));
    this.on = button("›", () => this.step(1));
    this.back.ariaLabel = "The view before";
    this.on.ariaLabel = "The next view";
    this.words = make("span");
    this.add = button("Add this view to my talk", () => this.addView());
    this.bar.append(this.back, this.words, this.on, this.add, button("My talk", () => this.open()), button("Leave", () => this.present(false)));
    // Streamlit's dialogs switch off all that lies outside of them but for this mark: views with a dialog can be added, too.
    for (const element of [this.bar, this.panel]) element.dataset.reactAriaTopLayer = "true";
    document.body.append(this.bar, this.panel);
    addEventListener("keydown", (event) => this.key(event), true);
    addEventListener("pointermove", () => this.wake());
    addEventListener("liminal-present", () => this.present(!this.presenting));
    this.present(this.presenting); // as the page's head has said from the address, which a page may have rewritten since
  }

  get views() {
    try { return JSON.parse(localStorage.getItem(TALK)) ?? []; } catch { return []; }
  }

  set views(list) {
    localStorage.setItem(TALK, JSON.stringify(list));
    this.tell();
  }

  get presenting() { return document.documentElement.dataset.present === "1"; }

  present(on) {
    if (this.presenting !== on) this.redrawFigures();
    document.documentElement.dataset.present = on ? "1" : "0";
    sessionStorage.setItem(PRESENTING, on ? "1" : "");
    const address = new URL(location.href);
    if ((address.searchParams.get("present") === "1") !== on) {
      if (on) address.searchParams.set("present", "1");
      else address.searchParams.delete("present");
      history.replaceState(history.state, "", address);
    }
    this.tell();
    this.wake();
    dispatchEvent(new Event("resize")); // figures measure their width anew
  }

  // Plotly keeps the sizes of texts that it has measured, so that the first drawing at another size of text cuts some of them off:
  // a pixel less of width, for half a second, has figures drawn again.
  redrawFigures() {
    const main = document.querySelector("[data-testid=stMainBlockContainer]");
    if (!main?.querySelector(".js-plotly-plot")) return;
    setTimeout(() => { main.style.paddingRight = `${parseFloat(getComputedStyle(main).paddingRight) + 1}px`; }, 700);
    setTimeout(() => { main.style.paddingRight = ""; }, 1200);
  }

  // After every run of a page: one that was opened meanwhile has its address without the mark.
  update(data) {
    this.private = data.private;
    const keep = () => { if (this.presenting) this.present(true); };
    keep();
    setTimeout(keep, 1500); // Streamlit may write a page's address later than its elements
    this.tell();
  }

  here() {
    const address = new URL(location.href);
    address.searchParams.delete("present");
    return address.pathname + address.search;
  }

  tell() {
    const views = this.views, at = this.at();
    this.words.textContent = views.length ? (at < 0 ? `${views.length} in my talk` : `${at + 1} of ${views.length}`) : "";
    this.back.hidden = this.on.hidden = !views.length;
    this.back.disabled = at === 0;
    this.on.disabled = at === views.length - 1;
    this.add.disabled = Boolean(this.private);
    this.add.title = this.private ? "Nothing made from a photo is kept, so this view cannot be added." : "";
    if (this.panel.open) this.fill();
  }

  // Where in the talk this view is; the same view may be in it twice.
  at() {
    const views = this.views, here = this.here(), place = Number(sessionStorage.getItem(PLACE) ?? -1);
    return views[place]?.url === here ? place : views.findIndex((view) => view.url === here);
  }

  step(way) {
    const views = this.views, at = this.at();
    const place = at < 0 ? Math.min(views.length - 1, Math.max(0, Number(sessionStorage.getItem(PLACE) ?? 0))) : at + way;
    this.go(place);
  }

  go(place) {
    const view = this.views[place];
    if (!view) return;
    sessionStorage.setItem(PLACE, String(place));
    location.assign(this.link(view));
  }

  link(view) {
    const address = new URL(view.url, location.origin);
    address.searchParams.set("present", "1");
    return address.href;
  }

  // The dialog's heading, or the page's with that of the part which is seen, so that two parts of a page can be told apart.
  title() {
    const heading = (element) => element?.innerText.trim() ?? "";
    const dialog = heading(document.querySelector("[role=dialog] h2, [data-testid=stDialog] h2"));
    const parts = [...document.querySelectorAll(".stApp h2")].filter((part) => part.checkVisibility() && part.getBoundingClientRect().top < innerHeight / 2);
    return dialog || [heading(document.querySelector(".stApp h1")), heading(parts.at(-1))].filter(Boolean).join(" ") || document.title;
  }

  async addView() {
    if (this.private) return;
    const view = { id: crypto.randomUUID(), url: this.here(), title: this.title() };
    this.add.disabled = true;
    this.add.textContent = "Adding";
    try {
      const still = await takeStill();
      await stills("readwrite", (store) => store.put(still, view.id));
    } catch (error) {
      console.warn("No still of this view:", error); // its link works all the same
    }
    this.views = [...this.views, view];
    sessionStorage.setItem(PLACE, String(this.views.length - 1));
    this.add.textContent = "Added";
    setTimeout(() => { this.add.textContent = "Add this view to my talk"; this.tell(); }, 1500);
  }

  open() {
    this.fill();
    this.panel.showModal();
  }

  fill() {
    const views = this.views, list = make("ol");
    const move = (from, to) => { const order = [...views]; order.splice(to, 0, ...order.splice(from, 1)); this.views = order; };
    views.forEach((view, place) => {
      const up = this.button("↑", () => move(place, place - 1)), down = this.button("↓", () => move(place, place + 1));
      const out = this.button("×", () => { stills("readwrite", (store) => store.delete(view.id)).catch(() => {}); this.views = views.filter((other) => other !== view); });
      up.disabled = !place;
      down.disabled = place === views.length - 1;
      [up.ariaLabel, down.ariaLabel, out.ariaLabel] = ["Earlier", "Later", "Take out"];
      const name = make("a", { href: this.link(view), textContent: view.title });
      name.addEventListener("click", () => sessionStorage.setItem(PLACE, String(place)));
      list.append(make("li", {}, name, up, down, out));
    });
    const foot = make("div", { className: "talk-ways" });
    if (views.length) foot.append(this.button("Begin", () => this.go(0)), this.button("Download as one page", () => this.download()), this.button("Download the links", () => this.save("talk.txt", "text/plain", views.map((view, place) => `${place + 1}. ${view.title}\n   ${this.link(view)}\n`).join(""))));
    foot.append(this.button("Close", () => this.panel.close()));
    const words = views.length
      ? "Page down or → goes to the next view, page up or ← to the one before. The list is kept in this browser. The one page shows the views as they were when they were added, without a connection."
      : "Nothing is in it yet. Open what you want to show, and press “Add this view to my talk”.";
    this.panel.replaceChildren(make("h2", { textContent: "My talk" }), make("p", { textContent: words }), list, foot);
  }

  save(name, type, content) {
    const link = make("a", { href: URL.createObjectURL(new Blob([content], { type })), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  async download() {
    const faces = [["Instrument Sans", "instrument-sans", "400 700"], ["Newsreader", "newsreader", "200 800"]];
    const fonts = (await Promise.all(faces.map(async ([family, file, weight]) => `@font-face{font-family:"${family}";font-weight:${weight};src:url("${await fetched(`/assets/fonts/${file}.woff2`)}")}`))).join("");
    const views = await Promise.all(this.views.map(async (view) => ({ title: view.title, link: this.link(view), width: 1920, height: 1080, ...(await stills("readonly", (store) => store.get(view.id)).catch(() => null)) })));
    const data = JSON.stringify({ fonts, views }).replaceAll("<", "\\u003c");
    const close = "</" + "script>";
    this.save("talk.html", "text/html", `<!doctype html><meta charset="utf-8"><title>Talk</title><style>${DECK_STYLE}</style><iframe sandbox="allow-same-origin"></iframe><main hidden></main><p></p><script type="application/json" id="talk">${data}${close}<script>${DECK}${close}`);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || this.panel.open) return;
    const busy = event.target.closest?.("input, textarea, select, [contenteditable], [role=slider], [role=radiogroup], [role=tablist], [tabindex='0']:not(button):not(a)");
    if (!busy && event.key.toLowerCase() === "p" && !event.shiftKey) { this.present(!this.presenting); return; }
    if (!this.presenting) return;
    if (event.key === "Escape" && !document.querySelector("[data-testid=stDialog]")) return this.present(false);
    const way = { PageDown: 1, PageUp: -1, ...(busy ? {} : { ArrowRight: 1, ArrowLeft: -1 }) }[event.key];
    if (!way || !this.views.length) return;
    event.preventDefault();
    event.stopPropagation();
    this.step(way);
  }

  wake() {
    for (const element of [this.bar, this.panel]) element.style.colorScheme = getComputedStyle(document.querySelector(".stApp") ?? document.body).colorScheme;
    this.bar.dataset.idle = "false";
    clearTimeout(this.resting);
    this.resting = setTimeout(() => { this.bar.dataset.idle = "true"; }, 2500);
  }
}

export default function ({ data }) {
  window.liminalTalk ??= new Talk();
  window.liminalTalk.update(data);
}
