// Faces between two emotions beside a map of the way that each of them took (paper B, Fig. 6): upward the share of the first emotion,
// to the right that of the second. Tiles and dots are kept and moved, never rebuilt, so that nothing flickers while faces are made.

const SVG = "http://www.w3.org/2000/svg";
const SIDE = 360, LEFT = 46, TOP = 26, PLOT = 288;
const x = (share) => LEFT + share * PLOT;
const y = (share) => TOP + (1 - share) * PLOT;
const at = ([first, second]) => `${x(second).toFixed(1)},${y(first).toFixed(1)}`;
const LARGEST_CHANGE = 2; // of an action that is fully done at 1: the end of a bar
const percent = (share) => `${Math.round(100 * share)} %`;

function node(name, attributes = {}, text = "") {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  return element;
}

function region(name, corners) {
  return node("polygon", { class: `map-region map-${name}`, points: corners.map(at).join(" ") });
}

function ground([first, second], rule) {
  const label = (text, place, name = "") => node("text", { class: `map-label ${name}`, x: x(place[1]), y: y(place[0]) }, text);
  const tick = (share) => [
    node("text", { class: "map-tick", x: LEFT - 7, y: y(share) + 4, "text-anchor": "end" }, percent(share)),
    node("text", { class: "map-tick", x: x(share), y: TOP + PLOT + 17, "text-anchor": "middle" }, percent(share)),
  ];
  return [
    region("both", [[rule, rule], [rule, 1 - rule], [1 - rule, rule]]),
    region("one", [[rule, 0], [rule, rule], [1 - rule, rule], [1, 0]]),
    region("one", [[0, rule], [rule, rule], [rule, 1 - rule], [0, 1]]),
    region("neither", [[0, 0], [rule, 0], [rule, rule], [0, rule]]),
    node("line", { class: "map-even", x1: x(0), y1: y(0), x2: x(0.5), y2: y(0.5) }),
    node("path", { class: "map-axis", d: `M${x(0)} ${y(1)}V${y(0)}H${x(1)}` }),
    label("either", [rule + 0.03, 0.6], "map-strong"),
    label("mostly", [0.56, rule / 2]), label(first, [0.515, rule / 2]),
    label(`mostly ${second}`, [rule / 2 - 0.015, 0.5]),
    label("neither", [rule / 2 - 0.015, rule / 2]),
    ...[0, 0.5, 1].flatMap(tick),
    node("text", { class: "map-name", x: 2, y: 13 }, `↑ ${first}`),
    node("text", { class: "map-name", x: x(1) + 12, y: SIDE - 9, "text-anchor": "end" }, `${second} →`),
  ];
}

class Boundary {
  constructor(root) {
    this.tiles = new Map();
    this.ways = new Map();
    root.innerHTML = `
      <aside class="boundary-aside">
        <figure class="boundary-base"><img alt=""><figcaption><b></b><span></span></figcaption></figure>
        <div class="boundary-map"><svg viewBox="0 0 ${SIDE} ${SIDE}" role="img"><g class="map-ground"></g><g class="map-ways"></g></svg>
          <div class="map-corner"><p><i data-verdict="open"></i>kept: both raised</p><p><i data-verdict="closed"></i>filtered out</p>
            <p><i data-verdict="base"></i>the base</p><img alt="" hidden></div></div>
      </aside>
      <div class="boundary-groups"></div>`;
    const find = (selector) => root.querySelector(selector);
    this.parts = {
      base: find(".boundary-base img"), title: find(".boundary-base b"), words: find(".boundary-base span"), svg: find("svg"),
      ground: find(".map-ground"), ways: find(".map-ways"), corner: find(".map-corner"), preview: find(".map-corner img"),
      groups: find(".boundary-groups"),
    };
  }

  update(data, pick) {
    this.pick = pick;
    const { parts } = this;
    const { base, emotions, rule } = data;
    if (parts.base.getAttribute("src") !== base.src) parts.base.src = base.src;
    parts.base.alt = base.alt;
    parts.title.textContent = base.title;
    parts.words.textContent = base.words;
    if (this.drawn !== `${emotions} ${rule}`) {
      this.drawn = `${emotions} ${rule}`;
      parts.ground.replaceChildren(...ground(emotions, rule));
    }
    const faces = data.groups.flatMap((group) => group.faces);
    const either = faces.filter((face) => face.verdict === "open").length, ready = faces.filter((face) => face.src).length;
    parts.svg.setAttribute("aria-label", `Map: share of ${emotions[0]} upward, share of ${emotions[1]} to the right. ` +
      `${ready} faces are made, ${either} of them kept.`);
    this.layTiles(data.groups);
    this.drawWays(faces, base);
  }

  layTiles(groups) {
    const wanted = new Set();
    const sections = groups.map((group) => {
      const section = document.createElement("section");
      if (group.title) section.append(Object.assign(document.createElement("h4"), { textContent: group.title }));
      if (group.note) section.append(Object.assign(document.createElement("p"), { textContent: group.note, className: "boundary-note" }));
      const grid = document.createElement("div");
      grid.className = "boundary-grid";
      grid.append(...group.faces.map((face) => { wanted.add(face.id); return this.tile(face); }));
      section.append(grid);
      return section;
    });
    const focused = this.parts.groups.contains(document.activeElement) ? document.activeElement : null;
    this.parts.groups.replaceChildren(...sections);
    for (const id of [...this.tiles.keys()]) if (!wanted.has(id)) this.tiles.delete(id);
    focused?.focus({ preventScroll: true });
  }

  tile(face) {
    if (!this.tiles.has(face.id)) {
      const tile = document.createElement("button");
      tile.type = "button";
      tile.className = "between";
      tile.innerHTML = `<span class="between-picture"></span><span class="between-words"></span><span class="between-changes" aria-hidden="true"></span><span class="between-note"></span>`;
      tile.addEventListener("click", () => this.pick(face.id));
      for (const name of ["mouseenter", "focus"]) tile.addEventListener(name, () => this.highlight(face.id));
      for (const name of ["mouseleave", "blur"]) tile.addEventListener(name, () => this.highlight(null));
      this.tiles.set(face.id, tile);
    }
    const tile = this.tiles.get(face.id);
    const [picture, words, changes, note] = tile.children;
    tile.disabled = !face.src;
    tile.dataset.verdict = face.src ? face.verdict : "waiting";
    if (face.src && picture.firstChild?.getAttribute("src") !== face.src) {
      picture.replaceChildren(Object.assign(new Image(), { src: face.src, decoding: "async" }));
    }
    if (face.src) picture.firstChild.alt = face.alt; else tile.setAttribute("aria-label", "Not made yet");
    if (face.src) tile.removeAttribute("aria-label");
    words.textContent = face.words;
    note.textContent = face.note;
    changes.replaceChildren(...face.changes.flatMap(({ words: action, change }) => {
      const bar = document.createElement("i"), part = Math.min(1, Math.abs(change) / LARGEST_CHANGE);
      bar.style.setProperty("--share", `${(50 * part).toFixed(1)}%`);
      bar.dataset.sign = change < 0 ? "less" : "more";
      const value = `${change < 0 ? "−" : "+"}${Math.abs(change).toFixed(1)}`;
      return [Object.assign(document.createElement("span"), { textContent: action }), bar,
        Object.assign(document.createElement("b"), { textContent: value })];
    }));
    return tile;
  }

  drawWays(faces, base) {
    const wanted = new Set(["base"]);
    const start = { id: "base", place: base.place, path: [], verdict: "base" };
    for (const face of [start, ...faces]) {
      wanted.add(face.id);
      const head = face.place ?? face.path.at(-1);
      if (!head) continue;
      if (!this.ways.has(face.id)) {
        const way = node("g", { class: "way" });
        way.append(node("polyline"), node("g"), node("circle", { r: face.id === "base" ? 5 : 5.5, class: "way-head" }));
        if (face.id !== "base") {
          way.lastChild.addEventListener("mouseenter", () => this.highlight(face.id));
          way.lastChild.addEventListener("mouseleave", () => this.highlight(null));
          way.lastChild.addEventListener("click", () => { if (this.tiles.get(face.id)?.disabled === false) this.pick(face.id); });
        }
        this.ways.set(face.id, way);
        this.parts.ways.append(way);
      }
      const way = this.ways.get(face.id);
      const [line, dots, dot] = way.children;
      way.dataset.verdict = face.place ? face.verdict : "waiting";
      line.setAttribute("points", [...face.path, ...(face.place ? [face.place] : [])].map(at).join(" "));
      while (dots.children.length > face.path.length) dots.lastChild.remove();
      face.path.forEach((place, index) => {
        const each = dots.children[index] ?? dots.appendChild(node("circle", { r: 1.7 }));
        each.setAttribute("cx", x(place[1]).toFixed(1));
        each.setAttribute("cy", y(place[0]).toFixed(1));
      });
      dot.style.transform = `translate(${at(head).split(",").map((part) => `${part}px`).join(", ")})`;
    }
    for (const [id, way] of this.ways) if (!wanted.has(id)) { way.remove(); this.ways.delete(id); }
    this.parts.ways.append(this.ways.get("base") ?? "");
  }

  highlight(id) {
    const { ways, preview, corner } = this.parts;
    const chosen = id === null ? undefined : this.ways.get(id);
    ways.classList.toggle("map-quiet", chosen !== undefined);
    for (const [name, way] of this.ways) way.classList.toggle("way-chosen", name === id);
    for (const [name, tile] of this.tiles) tile.classList.toggle("between-chosen", name === id);
    if (chosen) chosen.parentNode.append(chosen);
    const picture = id === null ? null : this.tiles.get(id)?.querySelector("img");
    corner.classList.toggle("map-preview", Boolean(picture));
    preview.hidden = !picture;
    if (picture) preview.src = picture.src;
  }
}

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".boundary-root");
  const first = !root.boundary;
  root.boundary ??= new Boundary(root);
  root.boundary.update(data, (id) => setTriggerValue("picked", id));
  if (first && data.follow) {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    root.scrollIntoView({ behavior: still ? "auto" : "smooth", block: "start" });
  }
}
