// One face under a slider whose pictures are all there. Nothing says what the slider changes: the face does. A press on the button
// hands the choice to the page, which sends the next face once the choice is on the disk; until then nothing can be pressed twice.

class FaceSlider {
  constructor(root) {
    this.root = root;
    root.innerHTML = `<figure class="face-slider"><div class="face-slider-screen"></div>
      <input type="range" min="0" step="1"><p class="face-slider-hint" role="status" aria-live="polite"></p>
      <button type="button" class="face-slider-next"></button></figure>`;
    const find = (selector) => root.querySelector(selector);
    this.screen = find(".face-slider-screen");
    this.range = find("input");
    this.hint = find(".face-slider-hint");
    this.button = find("button");
    this.range.addEventListener("input", () => this.move());
    // a press on the rail where the handle stands already is a choice too
    this.range.addEventListener("change", () => this.move());
    this.range.addEventListener("keydown", (event) => { if (event.key === "Enter" && !this.button.disabled) this.choose(); });
    onPress(this.button, () => this.choose());
  }

  get frame() {
    const place = Number(this.range.value);
    return this.data.turned ? this.data.frames.length - 1 - place : place;
  }

  move() {
    if (this.waiting) return;
    this.moves += 1;
    this.moved = true;
    this.draw();
  }

  choose() {
    if (!this.moved || this.waiting || !this.began) return;
    this.waiting = true;
    this.draw();
    this.send("chosen", { chain: this.data.chain, iteration: this.data.iteration, frame: this.frame, moves: this.moves,
      milliseconds: Math.round(performance.now() - this.began), start: this.data.start, turned: this.data.turned });
  }

  draw() {
    const { words } = this.data;
    const picture = this.pictures[this.frame];
    if (this.screen.firstChild !== picture) this.screen.replaceChildren(picture);
    const said = words.position.replace("{number}", Number(this.range.value) + 1).replace("{total}", this.pictures.length);
    picture.alt = this.data.prompt;
    this.range.setAttribute("aria-valuetext", said);
    this.root.dataset.waiting = String(this.waiting);
    this.root.dataset.frame = this.frame;
    this.range.disabled = this.waiting;
    this.button.disabled = this.waiting || !this.moved;
    this.hint.dataset.problem = String(Boolean(this.data.problem) && !this.waiting);
    this.hint.textContent = this.waiting ? words.drawing : this.data.problem || (this.moved ? "" : words.move);
  }

  async show(data, send) {
    const fresh = data.chain !== this.data?.chain || data.iteration !== this.data?.iteration || data.study !== this.data?.study;
    this.send = send;
    this.data = data;
    this.range.max = data.frames.length - 1;
    this.range.setAttribute("aria-label", data.words.slider);
    this.button.textContent = data.words.next;
    if (!fresh) { // the choice could not be kept: the same face again, as it was left
      this.waiting = false;
      this.draw();
      return;
    }
    this.began = 0;
    const pictures = data.frames.map((source) => Object.assign(new Image(), { src: source, draggable: false }));
    await Promise.all(pictures.map((picture) => picture.decode().catch(() => {})));
    if (this.data !== data) return; // the next one came meanwhile
    this.pictures = pictures;
    this.range.value = data.turned ? data.frames.length - 1 - data.start : data.start;
    this.moves = 0;
    this.moved = this.waiting = false;
    this.root.dataset.step = `${data.chain}/${data.iteration}`;
    this.draw();
    this.began = performance.now();
  }
}

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".face_slider-root");
  root.slider ??= new FaceSlider(root);
  root.slider.show(data, setTriggerValue);
}
