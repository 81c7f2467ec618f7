// Ranked faces with their scores on a small scale. Tiles are kept and updated, so that nothing flickers between pages.

const make = (tag, name, text = "") => Object.assign(document.createElement(tag), { className: name, textContent: text });

function fill(tile, spec, data) {
  const pictures = make("span", "ranked-pictures");
  for (const src of spec.pictures) {
    if (src) pictures.append(Object.assign(document.createElement("img"), { src, alt: "", loading: "lazy", decoding: "async" }));
    else pictures.append(make("span", "ranked-missing", "no picture here"));
  }
  const old = tile.querySelector(".ranked-pictures");
  const same = old && [...old.querySelectorAll("img")].map((each) => each.getAttribute("src")).join() === spec.pictures.join();
  const head = make("span", "ranked-head");
  head.append(make("small", "", spec.place), make("b", "", spec.score));
  const parts = [same ? old : pictures, head];
  if (spec.at !== null) {
    const scale = make("span", "ranked-scale");
    const zero = data.zero ?? 0;
    scale.style.setProperty("--zero", zero);
    scale.dataset.signed = String(data.zero !== null);
    if (spec.low !== null) {
      const band = make("i", "");
      band.style.left = `${100 * spec.low}%`;
      band.style.width = `${100 * (spec.high - spec.low)}%`;
      scale.append(band);
    }
    const dot = make("b", "");
    dot.style.left = `${100 * spec.at}%`;
    scale.append(dot);
    parts.push(scale);
  }
  if (spec.interval) parts.push(make("small", "ranked-interval", spec.interval));
  parts.push(...spec.words.map((line) => make("span", "ranked-words", line)));
  if (spec.mark) parts.push(make("em", "ranked-mark", spec.mark));
  tile.replaceChildren(...parts);
  tile.dataset.id = spec.id;
  tile.dataset.faces = spec.pictures.length;
  tile.setAttribute("aria-label", spec.alt);
  tile.setAttribute("aria-pressed", String(spec.id === data.selected));
}

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".ranking-root");
  root.pick = (id) => setTriggerValue("picked", id);
  root.tiles ??= new Map();
  const wanted = new Set(data.tiles.map((spec) => spec.id));
  const focused = parentElement.contains(document.activeElement) ? document.activeElement : null;
  const shown = data.tiles.map((spec) => {
    if (!root.tiles.has(spec.id)) {
      const tile = Object.assign(make("button", "ranked"), { type: "button" });
      tile.addEventListener("click", () => root.pick(tile.dataset.id));
      root.tiles.set(spec.id, tile);
    }
    const tile = root.tiles.get(spec.id);
    fill(tile, spec, data);
    return tile;
  });
  for (const id of [...root.tiles.keys()]) if (!wanted.has(id)) root.tiles.delete(id);
  let ends = root.querySelector(".ranking-ends");
  if (!ends) {
    ends = make("p", "ranking-ends");
    ends.append(make("span", ""), make("i", ""), make("span", ""));
    root.append(ends, make("div", "ranking-grid"));
  }
  ends.firstChild.textContent = data.ends[0];
  ends.lastChild.textContent = data.ends[1];
  ends.hidden = !data.tiles.length || (!data.ends[0] && !data.ends[1]);
  root.querySelector(".ranking-grid").replaceChildren(...shown);
  focused?.focus({ preventScroll: true });
}
