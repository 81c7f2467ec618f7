// A face walks from one picture to another; the verdict is the recogniser's own for exactly the picture shown.
// Nothing is blended between frames: a picture that was not judged is never drawn.

const LOCK = `<svg class="lock" viewBox="0 0 24 24" aria-hidden="true"><path class="shackle" d="M7.5 11V7.5a4.5 4.5 0 0 1 9 0V11"/>
<rect class="body" x="4.5" y="10.5" width="15" height="10.5" rx="2.6"/></svg>`;
const PLAY = `<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M8 5.5v13l10.5-6.5z"/></svg>`;
const PAUSE = `<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M7 5.5h3.6v13H7zM13.4 5.5H17v13h-3.6z"/></svg>`;

const WALK_MS = 5200;
const HOLD_MS = 1300;
const ease = (t) => (t < 0.5 ? 2 * t * t : 1 - (-2 * t + 2) ** 2 / 2);

function verdictOf(distance, threshold) {
  if (distance === null || Number.isNaN(distance)) return "none";
  return distance < threshold ? "open" : "closed";
}

// As many decimals as the verdict needs, as ui/markup.py writes them.
function distanceText(distance, limit) {
  for (let digits = 2; digits < 5; digits += 1) if (distance.toFixed(digits) !== limit.toFixed(digits)) return distance.toFixed(digits);
  return distance.toFixed(5);
}

const WORDS = { open: "Would unlock", closed: "Stays locked", none: "No face found" };

class Walk {
  constructor(root) {
    this.root = root;
    this.frame = 0;
    this.playing = false;
    this.clock = 0;
    root.innerHTML = `
      <figure class="walk">
        <div class="walk-phone">
          <div class="walk-screen"></div>
          <div class="walk-verdict" role="status" aria-live="off">${LOCK}<span></span></div>
        </div>
        <div class="walk-scrub">
          <img class="walk-end" alt="">
          <div class="walk-rail"><div class="walk-colours"></div>
            <input type="range" min="0" step="1" aria-label="How far the face has walked"></div>
          <img class="walk-end" alt="">
        </div>
        <div class="walk-names"><span></span><span></span></div>
        <div class="walk-foot"><button type="button" class="walk-play"></button><p class="walk-words"></p></div>
      </figure>`;
    const find = (selector) => root.querySelector(selector);
    this.parts = {
      figure: find(".walk"), screen: find(".walk-screen"), verdict: find(".walk-verdict span"), range: find("input"),
      colours: find(".walk-colours"), ends: root.querySelectorAll(".walk-end"), names: root.querySelectorAll(".walk-names span"),
      play: find(".walk-play"), words: find(".walk-words"),
    };
    this.parts.range.addEventListener("input", () => { this.pause(); this.show(Number(this.parts.range.value)); });
    this.parts.play.addEventListener("click", () => (this.playing ? this.pause() : this.start()));
    this.tick = this.tick.bind(this);
  }

  update(data) {
    const fresh = !this.data || this.data.frames.join() !== data.frames.join();
    this.data = data;
    const { parts } = this;
    parts.figure.classList.toggle("walk-plain", !data.phone);
    parts.range.max = data.frames.length - 1;
    parts.ends[0].src = data.frames[0];
    parts.ends[1].src = data.frames[data.frames.length - 1];
    parts.names[0].textContent = data.start;
    parts.names[1].textContent = data.end;
    parts.play.hidden = !data.playable;
    parts.colours.style.backgroundImage = this.colours();
    if (!fresh) { this.show(this.frame); return; }
    this.frame = 0;
    this.pictures = data.frames.map((source, index) => {
      const picture = new Image();
      picture.decoding = index ? "async" : "sync";
      picture.src = source;
      picture.dataset.frame = index;
      return picture;
    });
    this.pause();
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.show(still && data.playable ? Math.floor(data.frames.length / 3) : data.at ?? 0);
    Promise.all(this.pictures.map((picture) => picture.decode().catch(() => {}))).then(() => {
      parts.figure.dataset.ready = "true";
      if (data.playable && !still) this.start();
    });
  }

  colours() {
    const { distances, threshold } = this.data;
    const last = distances.length - 1;
    const stops = distances.map((distance, index) => {
      const colour = `var(--${verdictOf(distance, threshold)}-fill)`;
      const from = Math.max(0, ((index - 0.5) / last) * 100), to = Math.min(100, ((index + 0.5) / last) * 100);
      return `${colour} ${from}% ${to}%`;
    });
    return `linear-gradient(90deg, ${stops.join(", ")})`;
  }

  show(index) {
    const { data, parts } = this;
    this.frame = Math.min(Math.max(index, 0), data.frames.length - 1);
    const picture = this.pictures[this.frame];
    const verdict = verdictOf(data.distances[this.frame], data.threshold);
    const share = Math.round((this.frame / (data.frames.length - 1)) * 100);
    if (parts.screen.firstChild !== picture) parts.screen.replaceChildren(picture);
    parts.figure.dataset.verdict = verdict;
    parts.figure.dataset.frame = this.frame;
    parts.verdict.textContent = WORDS[verdict];
    picture.alt = `A generated face, ${share} % of the way from ${data.start} to ${data.end}. ${WORDS[verdict]}.`;
    parts.range.value = this.frame;
    parts.range.setAttribute("aria-valuetext", `${share} % of the way: ${WORDS[verdict]}`);
    parts.words.innerHTML = [{ title: data.recogniser, distances: data.distances, threshold: data.threshold }, ...data.others]
      .map((one) => {
        const number = one.distances[this.frame], opinion = verdictOf(number, one.threshold);
        const measured = number === null ? "" : `<small>distance ${distanceText(number, one.threshold)}, limit ${one.threshold.toFixed(3).replace(/0$/, "")}</small>`;
        return `<span data-verdict="${opinion}"><b>${one.title}</b> ${WORDS[opinion].toLowerCase()} ${measured}</span>`;
      }).join("");
  }

  start() {
    if (this.playing) return;
    this.playing = true;
    this.last = performance.now();
    const position = this.frame / (this.data.frames.length - 1);
    this.clock = HOLD_MS + Math.sqrt(position / 2) * WALK_MS * (position < 0.5 ? 1 : 0) +
      (position < 0.5 ? 0 : (1 - Math.sqrt((1 - position) / 2)) * WALK_MS);
    this.label();
    requestAnimationFrame(this.tick);
  }

  pause() {
    this.playing = false;
    this.label();
  }

  label() {
    this.parts.play.innerHTML = this.playing ? `${PAUSE}Pause` : `${PLAY}Play`;
  }

  tick(now) {
    if (!this.playing || !this.root.isConnected) { this.playing = false; return; }
    this.clock = (this.clock + Math.min(now - this.last, 100)) % (2 * (WALK_MS + HOLD_MS));
    this.last = now;
    let at = this.clock - HOLD_MS;
    if (at > WALK_MS + HOLD_MS) at = 2 * WALK_MS + HOLD_MS - at;
    const position = ease(Math.min(Math.max(at / WALK_MS, 0), 1));
    const index = Math.round(position * (this.data.frames.length - 1));
    if (index !== this.frame) this.show(index);
    requestAnimationFrame(this.tick);
  }
}

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".walk-root");
  root.walk ??= new Walk(root);
  root.walk.update(data);
  return () => root.walk?.pause();
}
