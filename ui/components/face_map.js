// A map of faces. What is sent once stays here as typed arrays; moving and magnifying never asks the server.

const FEW = 120; // faces in view that are all shown as faces; of more, a sample
const SIDE = [36, 46]; // pixels of a sampled face on a narrow and on a wide map
const APART = 1.12; // sides between two sampled faces' middles
const STILL = 140; // milliseconds without a movement before pictures are asked for
const ID_BYTES = 10;
const NEAR = 14; // pixels
const LISTED = 48;
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

class FaceMap {
  constructor(root) {
    this.root = root;
    root.innerHTML = `
      <div class="map-tools" role="toolbar" aria-label="The map">
        <button type="button" data-do="move">Move</button><button type="button" data-do="lasso">Draw around faces</button>
        <span></span>
        <div><button type="button" data-do="farther" aria-label="Farther">−</button><button type="button" data-do="closer" aria-label="Closer">+</button></div>
        <button type="button" data-do="whole">Whole map</button><button type="button" data-do="nothing">Select nothing</button>
      </div>
      <div class="map-frame">
        <canvas tabindex="0" role="application"></canvas>
        <div class="map-hover" hidden><img alt=""><p></p></div>
        <p class="map-status" role="status"></p>
      </div>
      <div class="map-legend"></div>
      <details class="map-list"><summary>The faces in view as a list</summary><div></div></details>`;
    const find = (selector) => root.querySelector(selector);
    this.parts = { canvas: find("canvas"), hover: find(".map-hover"), status: find(".map-status"), legend: find(".map-legend"),
      list: find(".map-list"), tools: find(".map-tools") };
    this.context = this.parts.canvas.getContext("2d", { alpha: false });
    this.images = new Map();
    this.pointers = new Map();
    this.mode = "move";
    this.parts.canvas.setAttribute("aria-label",
      "Map of faces. Arrow keys move it, plus and minus change its size, 0 shows all. The list below holds the faces in view.");
    this.listen();
    this.setMode("move");
  }

  update(data) {
    const fresh = !this.data || this.data.url !== data.url;
    const recoloured = fresh || this.data.colour.url !== data.colour.url || this.data.colour.title !== data.colour.title;
    this.data = data;
    this.dark = getComputedStyle(document.querySelector(".stApp")).colorScheme.includes("dark");
    this.palette = paletteOf(data.colour, this.dark, this.paper());
    this.masks = null;
    if (this.sent !== data.selected) { this.readSelection(data.selected); this.sent = data.selected; }
    this.legend();
    if (fresh) this.load(); else if (recoloured) this.loadColours(); else this.redraw();
  }

  async load() {
    const { url, count } = this.data;
    this.root.dataset.ready = "false";
    const answer = await fetch(url);
    if (!answer.ok || this.data.url !== url) { this.parts.status.textContent = answer.ok ? "" : "The map could not be loaded; reload the page."; return; }
    const content = await answer.arrayBuffer();
    this.places = new Float32Array(content, 0, 2 * count);
    this.ids = new Uint8Array(content, 8 * count, ID_BYTES * count);
    this.setOf = new Uint8Array(content, (8 + ID_BYTES) * count, count);
    this.bounds();
    this.values = null;
    this.thinning = null;
    this.whole();
    await this.loadColours();
    this.root.dataset.ready = "true";
  }

  async loadColours() {
    const { colour, count } = this.data;
    this.codes = new Uint8Array(count).fill(colour.url ? 255 : 0); // without a value until it is here
    this.values = null;
    if (colour.url) {
      const answer = await fetch(colour.url);
      if (answer.ok && this.data.colour.url === colour.url) {
        const content = await answer.arrayBuffer();
        if (colour.kind === "words") this.codes = new Uint8Array(content);
        else {
          this.values = new Float32Array(content);
          const reach = colour.high - colour.low || 1;
          for (let i = 0; i < count; i++) {
            const value = this.values[i];
            this.codes[i] = Number.isNaN(value) ? 255 : Math.max(0, Math.min(63, Math.round((63 * (value - colour.low)) / reach)));
          }
        }
      }
    }
    this.redraw();
  }

  bounds() {
    let [left, right, bottom, top] = [Infinity, -Infinity, Infinity, -Infinity];
    const see = (x, y) => {
      if (Number.isNaN(x) || Number.isNaN(y)) return;
      if (x < left) left = x; if (x > right) right = x; if (y < bottom) bottom = y; if (y > top) top = y;
    };
    for (let i = 0; i < this.places.length; i += 2) see(this.places[i], this.places[i + 1]);
    for (const each of [...this.data.marked, ...this.data.extras]) see(each.x, each.y);
    if (left > right) [left, right, bottom, top] = [-1, 1, -1, 1];
    this.reach = { left, right, bottom, top };
  }

  whole() {
    const { left, right, bottom, top } = this.reach, { clientWidth: width, clientHeight: height } = this.parts.canvas;
    this.x = (left + right) / 2;
    this.y = (bottom + top) / 2;
    this.scale = this.start = Math.min((width - 110) / (right - left || 1), (height - 110) / (top - bottom || 1));
    this.redraw();
  }

  toScreen(x, y) {
    const { clientWidth: width, clientHeight: height } = this.parts.canvas;
    return [(x - this.x) * this.scale + width / 2, height / 2 - (y - this.y) * this.scale];
  }

  zoom(factor, at) {
    const { clientWidth: width, clientHeight: height } = this.parts.canvas;
    const [sx, sy] = at ?? [width / 2, height / 2];
    const before = [this.x + (sx - width / 2) / this.scale, this.y - (sy - height / 2) / this.scale];
    this.scale = Math.max(this.start / 4, Math.min(this.start * 4000, this.scale * factor));
    this.x = before[0] - (sx - width / 2) / this.scale;
    this.y = before[1] + (sy - height / 2) / this.scale;
    this.redraw();
  }

  move(dx, dy) { this.x -= dx / this.scale; this.y += dy / this.scale; this.redraw(); }

  redraw() {
    if (this.waiting || !this.places) return;
    this.waiting = true;
    requestAnimationFrame(() => { this.waiting = false; if (this.root.isConnected) this.draw(); });
  }

  draw() {
    const began = performance.now();
    const { canvas } = this.parts, ratio = Math.min(window.devicePixelRatio || 1, 2);
    const width = Math.round(canvas.clientWidth * ratio), height = Math.round(canvas.clientHeight * ratio);
    if (!width || !height) return;
    if (canvas.width !== width || canvas.height !== height || !this.picture) {
      canvas.width = width; canvas.height = height;
      this.picture = this.context.createImageData(width, height);
      this.stamps = new Stamps(new Uint32Array(this.picture.data.buffer), width, height);
    }
    const count = this.data.count, scale = this.scale * ratio, places = this.places;
    const offsetX = width / 2 - this.x * scale, offsetY = height / 2 + this.y * scale;
    const size = (count > 30000 ? 1.5 : count > 5000 ? 2.1 : count > 800 ? 3.2 : 5) * Math.min(2.4, Math.max(1, (this.scale / this.start) ** 0.4)) * ratio;
    if (!this.masks || this.masks.size !== size) {
      this.masks = { size, of: new Map() };
      const crisp = count > 30000;
      for (const shape of new Set(this.palette.shapes)) this.masks.of.set(shape, maskOf(shape, shape === "circle" ? size : size * 1.1, crisp));
      this.masks.by = this.palette.shapes.map((shape) => this.masks.of.get(shape));
    }
    this.stamps.clear(this.paper());
    for (const mask of this.masks.of.values()) this.stamps.steps(mask);
    const { colours, faded } = this.palette, masks = this.masks.by, codes = this.codes, chosen = this.chosen, some = this.some;
    const inView = [];
    let seen = 0;
    for (let pass = 0; pass < (some ? 2 : 1); pass++) {
      for (let i = 0; i < count; i++) {
        if (some && (chosen[i] === 1) !== (pass === 1)) continue;
        const x = places[2 * i] * scale + offsetX, y = offsetY - places[2 * i + 1] * scale;
        if (!(x > -size && y > -size && x < width + size && y < height + size)) continue;
        if (seen++ < FEW) inView.push(i);
        const code = codes[i];
        this.stamps.stamp(masks[code], x, y, some && pass === 0 ? faded[code] : colours[code]);
      }
    }
    this.context.putImageData(this.picture, 0, 0);
    this.inView = seen;
    this.missing = [];
    const shown = seen <= FEW ? this.faces(inView, ratio, this.sideOf(seen)) : this.sample(ratio);
    this.extras(ratio);
    this.ask();
    if (this.line?.length > 1) this.outline(ratio);
    this.root.dataset.inView = seen;
    this.root.dataset.pictures = shown;
    this.root.dataset.ms = (performance.now() - began).toFixed(1);
    this.root.dataset.drawn = 1 + Number(this.root.dataset.drawn ?? 0);
    const total = this.chosenCount();
    this.parts.status.textContent = `${seen.toLocaleString("en")} of ${count.toLocaleString("en")} faces in view${total ? `, ${total.toLocaleString("en")} selected` : ""}${seen > FEW ? "; go closer for more pictures" : ""}`;
    this.parts.tools.querySelector("[data-do=nothing]").hidden = !total;
    if (this.parts.list.open) { clearTimeout(this.listing); this.listing = setTimeout(() => this.list(), 250); }
  }

  paper() { return this.dark ? "#1f222c" : "#f2eee6"; }

  sideOf(seen) {
    const { clientWidth: width, clientHeight: height } = this.parts.canvas;
    return Math.max(36, Math.min(92, 0.5 * Math.sqrt((width * height) / Math.max(seen, 1))));
  }

  // Faces that do not overlap, of as many as there are in view.
  sample(ratio) {
    const { canvas } = this.parts, { places } = this, side = SIDE[canvas.clientWidth < 640 ? 0 : 1];
    if (this.thinning?.gap !== side * APART) this.thinning = new Thinning(places, this.data.count, side * APART, this.start);
    const level = this.thinning.reach(this.scale), { since } = this.thinning, found = [];
    const wide = (canvas.clientWidth - side) / 2 / this.scale, tall = (canvas.clientHeight - side) / 2 / this.scale;
    for (let i = 0; i < this.data.count; i++) {
      if (since[i] <= level && Math.abs(places[2 * i] - this.x) <= wide && Math.abs(places[2 * i + 1] - this.y) <= tall) found.push(i);
    }
    return this.faces(found, ratio, side);
  }

  // -> how many of them have their picture already.
  faces(inView, ratio, length) {
    const side = length * ratio;
    let drawn = 0;
    this.shown = { faces: inView, side: length };
    for (const i of inView) {
      const picture = this.image(this.address(i));
      if (!picture) continue;
      const [x, y] = this.toScreen(this.places[2 * i], this.places[2 * i + 1]).map((value) => value * ratio);
      this.face(picture, x, y, side, this.hue(i), this.chosen?.[i] === 1, this.some, ratio);
      drawn++;
    }
    return drawn;
  }

  hue(i) {
    const colour = this.palette.colours[this.codes[i]];
    return `rgb(${colour & 255} ${(colour >> 8) & 255} ${(colour >> 16) & 255})`;
  }

  face(picture, x, y, side, hue, chosen, some, ratio) {
    const { context } = this;
    context.globalAlpha = some && !chosen ? 0.4 : 1;
    context.save();
    context.beginPath();
    context.roundRect(x - side / 2, y - side / 2, side, side, side * 0.16);
    context.clip();
    context.drawImage(picture, x - side / 2, y - side / 2, side, side);
    context.restore();
    context.lineWidth = (chosen ? 4 : 2.5) * ratio;
    context.strokeStyle = hue;
    context.beginPath();
    context.roundRect(x - side / 2, y - side / 2, side, side, side * 0.16);
    context.stroke();
    context.globalAlpha = 1;
  }

  extras(ratio) {
    const { context } = this, ink = this.dark ? "#ece8e1" : "#23252e";
    for (const each of this.data.extras) {
      const picture = this.image(each.src);
      const [x, y] = this.toScreen(each.x, each.y).map((value) => value * ratio);
      if (picture) this.face(picture, x, y, 44 * ratio, this.dark ? "#f0b05c" : "#e09a3a", true, false, ratio);
    }
    context.font = `600 ${13 * ratio}px "Instrument Sans", sans-serif`;
    context.textAlign = "center";
    for (const each of this.data.marked) {
      const [x, y] = this.toScreen(each.x, each.y).map((value) => value * ratio);
      const picture = this.image(each.src), side = 58 * ratio;
      if (picture) this.face(picture, x, y, side, ink, true, false, ratio);
      context.lineJoin = "round";
      context.lineWidth = 5 * ratio;
      context.strokeStyle = this.paper();
      context.strokeText(each.label, x, y - side / 2 - 8 * ratio);
      context.fillStyle = ink;
      context.fillText(each.label, x, y - side / 2 - 8 * ratio);
    }
  }

  outline(ratio) {
    const { context } = this;
    context.beginPath();
    this.line.forEach(([x, y], place) => (place ? context.lineTo(x * ratio, y * ratio) : context.moveTo(x * ratio, y * ratio)));
    context.closePath();
    context.fillStyle = this.dark ? "#aab6f226" : "#3d4a8620";
    context.fill();
    context.lineWidth = 1.5 * ratio;
    context.strokeStyle = this.dark ? "#aab6f2" : "#3d4a86";
    context.stroke();
  }

  id(i) { return hex(this.ids.subarray(ID_BYTES * i, ID_BYTES * (i + 1))); }
  address(i) { return `/sets/${this.data.sets[this.setOf[i]]}/images/${this.id(i)}`; }

  // The picture if it is here; else it is asked for once the map stands still, so that flying over thousands loads none of them.
  image(src) {
    const picture = this.images.get(src);
    if (!picture) this.missing.push(src);
    return picture?.complete && picture.naturalWidth ? picture : null;
  }

  ask() {
    clearTimeout(this.asking);
    const { missing, images } = this;
    if (!missing.length) return;
    this.asking = setTimeout(() => {
      for (const src of missing) {
        const picture = new Image();
        picture.onload = () => this.redraw();
        picture.src = src;
        images.set(src, picture);
        if (images.size > 600) images.delete(images.keys().next().value);
      }
    }, this.asked ? STILL : 0);
    this.asked = true;
  }

  words(i) {
    const { colour } = this.data;
    if (colour.kind === "words") return `${colour.title}: ${colour.names[this.codes[i]]?.name ?? "no value"}`;
    if (colour.kind === "number" && this.values) {
      const value = this.values[i];
      return `${colour.title}: ${Number.isNaN(value) ? "no value" : Number(value.toPrecision(3))}`;
    }
    return "A face";
  }

  nearest(sx, sy) {
    let best = -1, least = NEAR * NEAR;
    if (this.inView <= FEW) least = 46 * 46;
    const { clientWidth: width, clientHeight: height } = this.parts.canvas;
    if (this.inView > FEW) { // on a picture: whose picture it is, whatever points lie below it
      for (const i of this.shown.faces) {
        const [x, y] = this.toScreen(this.places[2 * i], this.places[2 * i + 1]);
        if (Math.max(Math.abs(x - sx), Math.abs(y - sy)) <= this.shown.side / 2) return i;
      }
    }
    for (let i = 0; i < this.data.count; i++) {
      const dx = (this.places[2 * i] - this.x) * this.scale + width / 2 - sx, dy = height / 2 - (this.places[2 * i + 1] - this.y) * this.scale - sy;
      const apart = dx * dx + dy * dy;
      if (apart < least) { least = apart; best = i; }
    }
    return best;
  }

  point(sx, sy) {
    const { hover, canvas } = this.parts, i = this.places ? this.nearest(sx, sy) : -1;
    hover.hidden = i < 0;
    if (i < 0 || this.hovered === i) { if (i >= 0) this.placeHover(i, hover, canvas); else this.hovered = -1; return; }
    this.hovered = i;
    hover.querySelector("img").src = this.address(i);
    hover.querySelector("p").textContent = this.words(i);
    this.placeHover(i, hover, canvas);
  }

  placeHover(i, hover, canvas) {
    const [x, y] = this.toScreen(this.places[2 * i], this.places[2 * i + 1]);
    const { offsetWidth: wide, offsetHeight: tall } = hover;
    hover.style.left = `${Math.max(4, x + 18 + wide > canvas.clientWidth ? x - wide - 18 : x + 18)}px`;
    hover.style.top = `${Math.max(4, Math.min(canvas.clientHeight - tall - 4, y - tall / 2))}px`;
  }

  readSelection(bits) {
    this.chosen = new Uint8Array(this.data.count);
    const bytes = bits ? Uint8Array.from(atob(bits), (letter) => letter.charCodeAt(0)) : [];
    for (let i = 0; i < this.data.count; i++) this.chosen[i] = (bytes[i >> 3] >> (i & 7)) & 1;
    this.some = this.chosen.includes(1);
  }

  chosenCount() { let sum = 0; if (this.some) for (const each of this.chosen) sum += each; return sum; }

  tell() {
    this.some = this.chosen.includes(1);
    const bytes = new Uint8Array(Math.ceil(this.data.count / 8));
    if (this.some) for (let i = 0; i < this.data.count; i++) bytes[i >> 3] |= this.chosen[i] << (i & 7);
    let text = "";
    for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
    this.sent = this.some ? btoa(text) : "";
    this.send(btoa(text));
    this.redraw();
  }

  enclose(add) {
    const line = this.line ?? [];
    if (!add) this.chosen.fill(0);
    if (line.length > 2) {
      const xs = line.map((each) => each[0]), ys = line.map((each) => each[1]);
      const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
      const { clientWidth: width, clientHeight: height } = this.parts.canvas; // read once: asking lays out the page
      for (let i = 0; i < this.data.count; i++) {
        const x = (this.places[2 * i] - this.x) * this.scale + width / 2, y = height / 2 - (this.places[2 * i + 1] - this.y) * this.scale;
        if (!(x >= left && x <= right && y >= top && y <= bottom)) continue;
        let inside = false;
        for (let a = 0, b = line.length - 1; a < line.length; b = a++) {
          const [ax, ay] = line[a], [bx, by] = line[b];
          if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
        }
        if (inside) this.chosen[i] = 1;
      }
    }
    this.line = null;
    this.tell();
  }

  setMode(mode) {
    this.mode = mode;
    for (const name of ["move", "lasso"]) this.parts.tools.querySelector(`[data-do=${name}]`).setAttribute("aria-pressed", String(mode === name));
    this.parts.canvas.dataset.mode = mode;
  }

  legend() {
    const { colour } = this.data, { legend } = this.parts, tone = (pair) => pair[this.dark ? 1 : 0];
    const make = (tag, name, text = "") => Object.assign(document.createElement(tag), { className: name, textContent: text });
    legend.replaceChildren();
    if (colour.title) legend.append(make("b", "", colour.title));
    const item = (name, hue, symbol) => {
      const one = make("span", "map-kind", name), sign = document.createElement("canvas");
      sign.width = sign.height = 17;
      const picture = new ImageData(17, 17), mask = maskOf(symbol, 7), [red, green, blue] = parse(hue);
      for (let row = 0; row < mask.side; row++) for (let column = 0; column < mask.side; column++) {
        picture.data.set([red, green, blue, mask.alpha[row * mask.side + column]], 4 * ((row + 8 - mask.half) * 17 + column + 8 - mask.half));
      }
      sign.getContext("2d").putImageData(picture, 0, 0);
      one.prepend(sign);
      legend.append(one);
    };
    if (colour.kind === "words") colour.names.forEach((each) => item(`${each.name} (${each.count.toLocaleString("en")})`, tone(each.colour), each.symbol));
    if (colour.kind === "number") {
      const scale = make("span", "map-scale"), bar = make("i", "");
      bar.style.background = `linear-gradient(90deg, ${colour.stops.map(([at, pair]) => `${tone(pair)} ${100 * at}%`).join(", ")})`;
      scale.append(make("span", "", colour.low_text), bar, make("span", "", colour.high_text));
      legend.append(scale);
    }
    if (colour.without) item(`no value (${colour.without.toLocaleString("en")})`, tone(colour.missing), "circle");
  }

  list() {
    const { canvas, list } = this.parts, place = list.querySelector("div"), found = [];
    const wide = canvas.clientWidth / 2, tall = canvas.clientHeight / 2;
    for (let i = 0; i < this.data.count; i++) {
      const x = (this.places[2 * i] - this.x) * this.scale, y = (this.places[2 * i + 1] - this.y) * this.scale; // from the middle
      if (Math.abs(x) <= wide && Math.abs(y) <= tall) found.push([x * x + y * y, i]);
    }
    found.sort((a, b) => a[0] - b[0]);
    place.replaceChildren(...found.slice(0, LISTED).map(([, i]) => {
      const one = Object.assign(document.createElement("button"), { type: "button" });
      one.setAttribute("aria-pressed", String(this.chosen[i] === 1));
      one.append(Object.assign(new Image(), { src: this.address(i), alt: "", loading: "lazy" }), Object.assign(document.createElement("span"), { textContent: this.words(i) }));
      one.addEventListener("click", () => { this.chosen[i] ^= 1; one.setAttribute("aria-pressed", String(this.chosen[i] === 1)); this.tell(); });
      return one;
    }));
    if (found.length > LISTED) place.append(Object.assign(document.createElement("p"), { textContent: `The ${LISTED} nearest to the middle of ${found.length.toLocaleString("en")} in view. Go closer to see others.` }));
  }

  listen() {
    const { canvas, tools, hover, list } = this.parts;
    const at = (event) => { const box = canvas.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
    tools.addEventListener("click", (event) => {
      const what = event.target.closest("button")?.dataset.do;
      if (what === "closer") this.zoom(1.5); else if (what === "farther") this.zoom(1 / 1.5);
      else if (what === "whole") this.whole(); else if (what === "nothing") { this.chosen.fill(0); this.tell(); if (list.open) this.list(); }
      else if (what) this.setMode(what);
    });
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, at(event));
      if ((this.mode === "lasso" || event.shiftKey) && this.pointers.size === 1) { this.line = [at(event)]; this.adding = event.shiftKey && this.mode === "lasso"; }
      hover.hidden = true;
    });
    canvas.addEventListener("pointermove", (event) => {
      const [x, y] = at(event), before = this.pointers.get(event.pointerId);
      if (!before) { if (event.pointerType !== "touch") this.point(x, y); return; }
      if (this.pointers.size === 2) {
        const other = [...this.pointers].find(([id]) => id !== event.pointerId)[1];
        const apart = (a) => Math.hypot(a[0] - other[0], a[1] - other[1]);
        this.zoom(apart([x, y]) / (apart(before) || 1), [(x + other[0]) / 2, (y + other[1]) / 2]);
      } else if (this.line) { this.line.push([x, y]); this.redraw(); }
      else this.move(x - before[0], y - before[1]);
      this.pointers.set(event.pointerId, [x, y]);
    });
    const up = (event) => {
      const was = this.pointers.delete(event.pointerId);
      if (was && this.line && this.pointers.size === 0) this.enclose(this.adding);
    };
    canvas.addEventListener("pointerup", up);
    canvas.addEventListener("pointercancel", up);
    canvas.addEventListener("pointerleave", () => { hover.hidden = true; this.hovered = -1; });
    canvas.addEventListener("wheel", (event) => {
      if (document.activeElement !== canvas && !event.ctrlKey && !event.metaKey) return; // the page itself is to scroll
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0016)), at(event));
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[event.key];
      if (step) this.move(...step); else if (event.key === "+" || event.key === "=") this.zoom(1.3);
      else if (event.key === "-") this.zoom(1 / 1.3); else if (event.key === "0") this.whole(); else return;
      event.preventDefault();
    });
    list.addEventListener("toggle", () => { if (list.open && this.places) this.list(); });
    new ResizeObserver(() => { if (this.places) this.redraw(); }).observe(canvas);
  }
}

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".face_map-root");
  root.map ??= new FaceMap(root);
  root.map.send = (bits) => setTriggerValue("selected", bits);
  root.map.update(data);
}
