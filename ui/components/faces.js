// Faces as buttons, in groups. Pressing one tells the page its id. Tiles are kept and updated, never rebuilt, so that nothing flickers.

function tileOf(spec, pick) {
  const tile = document.createElement("button");
  tile.type = "button";
  tile.className = "face";
  tile.innerHTML = `<span class="face-picture"><img alt="" loading="lazy" decoding="async"></span><span class="face-caption"></span>`;
  tile.addEventListener("click", () => { pick(tile.dataset.id); showOwner(tile); });
  tile.dataset.id = spec.id;
  return tile;
}

const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
const goTo = (element) => element.scrollIntoView({ behavior: still() ? "auto" : "smooth", block: "start" });

// Where the gallery stands below the face that it chooses, so that this is out of sight, go there: else a press seems to do nothing.
function showOwner(tile) {
  const owner = tile.closest(".faces-strip") && tile.closest(".st-key-owner");
  if (owner && !matchMedia("(min-width: 641px)").matches && owner.getBoundingClientRect().top < -120) goTo(owner);
}

function fill(tile, spec, selected) {
  const picture = tile.querySelector("img");
  if (picture.getAttribute("src") !== spec.src) picture.src = spec.src;
  picture.alt = spec.alt;
  const caption = tile.querySelector(".face-caption");
  const lines = [];
  if (spec.title) lines.push(["face-title", spec.title]);
  if (spec.words) lines.push(["face-words", spec.words]);
  if (spec.note) lines.push(["face-note", spec.note]);
  caption.replaceChildren(...lines.map(([name, text]) => Object.assign(document.createElement("span"), { className: name, textContent: text })));
  caption.hidden = lines.length === 0;
  tile.dataset.verdict = spec.verdict ?? "";
  tile.setAttribute("aria-pressed", String(spec.id === selected));
}

// Below a strip: which of its faces are in sight, and two buttons that push it on.
function makeGuide(root) {
  const guide = Object.assign(document.createElement("div"), { className: "faces-guide" });
  guide.innerHTML = `<span aria-live="polite"></span><button type="button" aria-label="Faces before these">‹</button><button type="button" aria-label="More faces">›</button>`;
  const [words, back, on] = guide.children;
  const push = (way) => root.scrollBy({ left: way * Math.max(120, root.clientWidth - 60) });
  back.addEventListener("click", () => push(-1));
  on.addEventListener("click", () => push(1));
  const look = () => {
    const tiles = [...root.querySelectorAll(".face")], left = root.scrollLeft, right = left + root.clientWidth;
    const seen = tiles.map((tile, place) => [tile.offsetLeft, tile.offsetLeft + tile.offsetWidth, place + 1]).filter(([from, to]) => from >= left - 8 && to <= right + 8);
    const all = root.scrollWidth <= root.clientWidth + 8;
    guide.hidden = all;
    root.dataset.more = String(!all && right < root.scrollWidth - 8);
    if (seen.length) words.textContent = `Faces ${seen[0][2]} to ${seen.at(-1)[2]} of ${tiles.length}`;
    back.disabled = left < 8;
    on.disabled = right > root.scrollWidth - 8;
  };
  root.addEventListener("scroll", look, { passive: true });
  new ResizeObserver(look).observe(root);
  root.after(guide);
  return look;
}

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".faces-root"), first = !root.tiles;
  root.pick = (id) => setTriggerValue("picked", id);
  root.tiles ??= new Map();
  root.className = `faces-root faces-${data.layout}`;
  root.style.setProperty("--tile", data.tile);
  const wanted = new Set();
  const groups = data.groups.map((group) => {
    const section = document.createElement("section");
    if (group.title) section.append(Object.assign(document.createElement("h4"), { textContent: group.title }));
    if (group.note) section.append(Object.assign(document.createElement("p"), { textContent: group.note, className: "faces-note" }));
    const grid = document.createElement("div");
    grid.className = "faces-grid";
    if (group.columns) grid.style.setProperty("--columns", group.columns);
    grid.append(...group.tiles.map((spec) => {
      wanted.add(spec.id);
      if (!root.tiles.has(spec.id)) root.tiles.set(spec.id, tileOf(spec, (id) => root.pick(id)));
      const tile = root.tiles.get(spec.id);
      fill(tile, spec, data.selected);
      return tile;
    }));
    section.append(grid);
    return section;
  });
  const focused = parentElement.contains(document.activeElement) ? document.activeElement : null;
  const offset = root.scrollLeft;
  root.replaceChildren(...groups);
  root.scrollLeft = offset;
  for (const id of [...root.tiles.keys()]) if (!wanted.has(id)) root.tiles.delete(id);
  focused?.focus({ preventScroll: true });
  if (data.layout === "strip" && root.shown !== data.selected) {
    root.shown = data.selected;
    const tile = root.tiles.get(data.selected);
    if (tile) root.scrollLeft = tile.offsetLeft - root.clientWidth / 2 + tile.clientWidth / 2;
  }
  if (data.layout === "strip") (root.look ??= makeGuide(root))();
  if (first && data.follow) goTo(document.querySelector(`.st-key-${data.follow}`) ?? root);
}
