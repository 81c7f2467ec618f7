// A row of faces from one feeling to another under a slider. Bars and words are the networks' own for exactly the picture shown;
// nothing is blended between frames. Frames may come one by one: the handle moves over those that are there.

const percent = (share) => `${Math.round(100 * share)} %`;
const strongest = (shares) => shares.indexOf(Math.max(...shares));

class Morph {
  constructor(root) {
    this.frame = 0;
    this.voice = 0;
    this.pictures = [];
    root.innerHTML = `
      <div class="morph">
        <figure class="morph-figure"><div class="morph-screen"></div><figcaption role="status"></figcaption></figure>
        <div class="morph-said"><div class="morph-voices" role="group" aria-label="Which network’s shares"></div><div class="morph-bars"></div>
          <p class="morph-part"></p></div>
        <div class="morph-slider">
          <div class="morph-ends"><span></span><span></span></div>
          <div class="morph-rail"><div class="morph-track"></div><div class="morph-marks" aria-hidden="true"></div><input type="range" min="0" step="1"></div>
        </div>
        <div class="morph-way"><div class="morph-row"></div><div class="morph-lanes"></div></div>
      </div>`;
    const find = (selector) => root.querySelector(selector);
    this.parts = {
      figure: find(".morph"), screen: find(".morph-screen"), caption: find("figcaption"), voices: find(".morph-voices"),
      bars: find(".morph-bars"), part: find(".morph-part"), ends: root.querySelectorAll(".morph-ends span"), track: find(".morph-track"), marks: find(".morph-marks"),
      range: find("input"), lanes: find(".morph-lanes"), row: find(".morph-row"),
    };
    this.parts.range.addEventListener("input", () => { this.touched = true; this.show(Number(this.parts.range.value)); });
  }

  update(data) {
    const fresh = !this.data || this.data.frames.length !== data.frames.length || this.data.pair.join() !== data.pair.join();
    this.data = data;
    const { parts } = this;
    const [first, second] = data.pair.map((place) => data.emotions[place]);
    parts.range.max = data.frames.length - 1;
    parts.range.setAttribute("aria-label", `How far from ${first} to ${second}`);
    parts.ends[0].textContent = first;
    parts.ends[1].textContent = second;
    this.pictures = data.frames.map((source, index) => {
      if (this.pictures[index]?.getAttribute("src") === source) return this.pictures[index];
      if (!source) return null;
      const picture = new Image();
      picture.src = source;
      picture.dataset.frame = index;
      return picture;
    });
    if (fresh) {
      this.touched = false;
      parts.voices.replaceChildren(...data.voices.map((voice, index) => {
        const button = Object.assign(document.createElement("button"), { type: "button", textContent: voice.title });
        button.addEventListener("click", () => { this.voice = index; this.show(this.frame); });
        return button;
      }));
      parts.bars.replaceChildren(...data.emotions.map((emotion, index) => {
        const bar = document.createElement("div");
        bar.innerHTML = "<span></span><i></i><span></span>";
        bar.firstChild.textContent = emotion;
        bar.dataset.side = data.pair.indexOf(index);
        return bar;
      }));
      parts.figure.dataset.many = String(data.frames.length > 15);
      this.row();
    }
    this.lanes();
    this.thumbnails();
    const made = data.frames.map((source, index) => (source ? index : -1)).filter((index) => index >= 0);
    parts.figure.dataset.ready = String(made.length === data.frames.length);
    if (made.length === 0) return;
    // until somebody takes the handle, the newest picture is shown while the row is made, and the middle when it is complete
    const newest = made.length === data.frames.length ? Math.floor(data.frames.length / 2) : made.at(-1);
    this.show(this.touched ? this.frame : newest);
  }

  row() {
    this.parts.row.replaceChildren(...this.data.frames.map((_, index) => {
      const button = Object.assign(document.createElement("button"), { type: "button", disabled: true });
      button.innerHTML = `<img alt="">`;
      button.addEventListener("click", () => { this.touched = true; this.show(index); });
      return button;
    }));
  }

  thumbnails() {
    const { frames } = this.data;
    frames.forEach((source, index) => {
      const button = this.parts.row.children[index], picture = button.firstChild;
      button.disabled = !source;
      button.setAttribute("aria-label", source ? `Picture ${index + 1} of ${frames.length}` : "Not made yet");
      if (source && picture.getAttribute("src") !== source) picture.src = source;
    });
  }

  side(shares) {
    return shares ? this.data.pair.indexOf(strongest(shares)) : "waiting";
  }

  lanes() {
    const last = this.data.frames.length - 1;
    // colours meet half way between two pictures, or at the flip where it lies between them
    const edge = (voice, index) => {
      if (index < 0 || index >= last) return index < 0 ? 0 : 1;
      const [low, high] = [index / last, (index + 1) / last];
      return voice.flips.find((flip) => flip >= low && flip <= high) ?? (low + high) / 2;
    };
    const lane = (voice) => voice.shares.map((shares, index) => {
      const piece = document.createElement("i");
      piece.dataset.side = this.side(shares);
      piece.style.left = `${100 * edge(voice, index - 1)}%`;
      piece.style.right = `${100 - 100 * edge(voice, index)}%`;
      return piece;
    });
    this.parts.track.replaceChildren(...lane(this.data.voices[0]));
    this.parts.lanes.replaceChildren(...this.data.voices.map((voice) => {
      const row = document.createElement("div");
      row.innerHTML = `<p><b></b><span></span></p><div class="morph-lane"></div>`;
      row.querySelector("b").textContent = voice.title;
      row.querySelector("span").textContent = voice.words;
      row.lastChild.append(...lane(voice));
      row.lastChild.append(...this.marks(voice));
      return row;
    }));
  }

  marks(voice) {
    const mark = (name, left, width = 0) => {
      const element = Object.assign(document.createElement("b"), { className: name });
      element.style.left = `${100 * left}%`;
      if (width) element.style.width = `${100 * width}%`;
      return element;
    };
    const even = voice.even.length ? [mark("morph-even", voice.even[1], voice.even[2] - voice.even[1])] : [];
    return [...even, ...voice.flips.map((flip) => mark("morph-flip", flip))];
  }

  show(wanted) {
    const { data, parts } = this;
    const made = data.frames.map((source, index) => (source ? index : -1)).filter((index) => index >= 0);
    if (made.length === 0) return;
    this.frame = made.reduce((best, index) => (Math.abs(index - wanted) < Math.abs(best - wanted) ? index : best));
    const picture = this.pictures[this.frame];
    if (parts.screen.firstChild !== picture) parts.screen.replaceChildren(picture);
    parts.range.value = this.frame;
    parts.figure.dataset.frame = this.frame;
    parts.figure.style.setProperty("--at", `${(this.frame / (data.frames.length - 1)) * 100}%`);
    const lead = data.voices[0].shares[this.frame], voice = data.voices[this.voice], shares = voice.shares[this.frame];
    const name = data.emotions[strongest(lead)];
    parts.caption.textContent = `${data.voices[0].title} says ${name}, ${percent(Math.max(...lead))}`;
    parts.caption.dataset.side = this.side(lead);
    const share = this.frame / (data.frames.length - 1);
    picture.alt = `Generated face, ${percent(share)} of the way. ${parts.caption.textContent}.`;
    parts.range.setAttribute("aria-valuetext", `${percent(share)} of the way: ${parts.caption.textContent}`);
    [...parts.bars.children].forEach((bar, index) => {
      bar.children[1].style.setProperty("--share", `${100 * shares[index]}%`);
      bar.lastChild.textContent = percent(shares[index]);
    });
    parts.part.textContent = `${voice.title} ${voice.part}.`;
    parts.marks.replaceChildren(...this.marks(voice));
    parts.marks.dataset.voice = voice.title;
    [...parts.voices.children].forEach((button, index) => button.setAttribute("aria-pressed", String(index === this.voice)));
    [...parts.row.children].forEach((button, index) => button.setAttribute("aria-pressed", String(index === this.frame)));
    if (parts.row.scrollWidth > parts.row.clientWidth) { // the picture that is shown is in sight in the row, too
      const here = parts.row.children[this.frame].getBoundingClientRect(), row = parts.row.getBoundingClientRect();
      parts.row.scrollLeft += here.left + here.width / 2 - row.left - row.width / 2;
    }
  }
}

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".morph-root");
  const first = !root.morph;
  root.morph ??= new Morph(root);
  root.morph.update(data);
  if (first && data.follow) {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    root.scrollIntoView({ behavior: still ? "auto" : "smooth", block: "start" });
  }
}
