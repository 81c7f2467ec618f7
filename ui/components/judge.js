// Everybody's distance to the owner on one line, with the limit as a handle: moving it judges all strangers again at once.
// The page is told when the handle is let go.

const WORDS = { open: "would unlock", closed: "stays locked" };

// Wilson 1927, the score interval of a share: centre and half-width at z = 1.96. The page's own comes from statsmodels; a test compares them.
export function wilson(accepted, judged, z = 1.959963984540054) {
  const share = accepted / judged, square = (z * z) / judged;
  const centre = (share + square / 2) / (1 + square);
  const half = (z * Math.sqrt((share * (1 - share)) / judged + square / (4 * judged))) / (1 + square);
  return [Math.max(0, centre - half), Math.min(1, centre + half)];
}

// As ui/markup.py writes them: a limit with three decimals, a last 0 left out, and a distance with as many as the verdict needs.
const limitText = (value) => value.toFixed(3).replace(/0$/, "");
function distanceText(distance, limit) {
  for (let digits = 2; digits < 5; digits += 1) if (distance.toFixed(digits) !== limit.toFixed(digits)) return distance.toFixed(digits);
  return distance.toFixed(5);
}

function percent(share) {
  const value = share * 100;
  return `${value > 0 && value < 10 ? value.toFixed(1) : value.toFixed(0)} %`;
}

class Judge {
  constructor(root) {
    this.root = root;
    this.tiles = new Map();
    root.innerHTML = `
      <div class="judge-control">
        <p class="judge-sentence" role="status"></p>
        <p class="judge-interval"></p>
        <p class="judge-genuine" hidden></p>
        <div class="judge-chart"><div class="judge-bars" aria-hidden="true"></div><input type="range"></div>
        <div class="judge-scale"><span>more alike</span><output></output><span>less alike</span></div>
        <div class="judge-marks" role="group" aria-label="Ready-made limits"></div>
      </div>
      <div class="judge-legend"><span data-verdict="open">would unlock</span><span data-verdict="closed">stays locked</span><em></em></div>
      <div class="judge-wall"></div>`;
    const find = (selector) => root.querySelector(selector);
    this.parts = {
      sentence: find(".judge-sentence"), interval: find(".judge-interval"), genuine: find(".judge-genuine"), bars: find(".judge-bars"), range: find("input"),
      output: find("output"), marks: find(".judge-marks"), wall: find(".judge-wall"), note: find(".judge-legend em"),
    };
    this.parts.range.addEventListener("input", () => this.judge(Number(this.parts.range.value)));
    this.parts.range.addEventListener("change", () => this.tell());
  }

  tell() {
    this.set("threshold", Number(this.threshold.toFixed(3)));
  }

  update(data, set, trigger) {
    this.set = set;
    this.trigger = trigger;
    const same = this.data && this.data.id === data.id;
    this.data = data;
    const { parts } = this;
    parts.range.min = data.low;
    parts.range.max = data.high;
    parts.range.step = 0.005;
    parts.range.setAttribute("aria-label", `Limit of ${data.recogniser}: faces nearer than this unlock the phone`);
    if (!same) { this.bars(); this.marks(); this.wall(); }
    this.judge(data.threshold);
    parts.range.value = data.threshold;
  }

  bars() {
    const { distances, low, high } = this.data;
    const count = 72, heights = new Array(count).fill(0);
    for (const distance of distances) {
      const bin = Math.floor(((distance - low) / (high - low)) * count);
      if (bin >= 0 && bin < count) heights[bin] += 1;
    }
    const top = Math.max(...heights, 1);
    this.columns = heights.map((height, index) => {
      const bar = document.createElement("i");
      bar.style.height = height ? `${Math.max(4, (height / top) * 100)}%` : "0";
      bar.dataset.at = low + ((index + 0.5) / count) * (high - low);
      return bar;
    });
    this.parts.bars.replaceChildren(...this.columns);
  }

  marks() {
    this.parts.marks.replaceChildren(...this.data.marks.map((mark) => {
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.value = mark.value;
      button.innerHTML = `<b>${limitText(mark.value)}</b> ${mark.label}`;
      button.addEventListener("click", () => {
        this.parts.range.value = mark.value;
        this.judge(mark.value);
        this.tell();
      });
      return button;
    }));
  }

  wall() {
    const { wall } = this.data;
    const wanted = new Set(wall.map((face) => face.id));
    for (const face of wall) {
      if (!this.tiles.has(face.id)) {
        const tile = document.createElement("button");
        tile.type = "button";
        tile.className = "judge-face";
        tile.innerHTML = `<img loading="lazy" decoding="async" alt="">`;
        tile.firstChild.src = face.src;
        tile.addEventListener("click", () => this.trigger("picked", face.id));
        this.tiles.set(face.id, tile);
      }
      this.tiles.get(face.id).distance = face.distance;
    }
    for (const id of [...this.tiles.keys()]) if (!wanted.has(id)) this.tiles.delete(id);
    this.parts.wall.replaceChildren(...wall.map((face) => this.tiles.get(face.id)));
  }

  judgeOwner(threshold) {
    const { data, parts } = this, pictures = data.genuine.length;
    parts.genuine.hidden = pictures === 0;
    if (pictures === 0) return;
    const refused = data.genuine.reduce((sum, distance) => sum + !(distance < threshold), 0), [low, high] = wilson(refused, pictures);
    parts.genuine.innerHTML = `<b>The owner is refused in ${refused} of ${pictures} other pictures</b>: ${percent(refused / pictures)} `
      + `(95 % interval ${percent(low)} to ${percent(high)}; other light, turn, expression, glasses, beard).`;
  }

  judge(threshold) {
    this.threshold = threshold;
    const { data, parts } = this;
    const accepted = data.distances.reduce((sum, distance) => sum + (distance < threshold), 0);
    const judged = data.distances.length, [low, high] = wilson(accepted, judged);
    parts.sentence.innerHTML = accepted === 0
      ? `<b>None of ${judged.toLocaleString("en")} strangers</b> would get in.`
      : `<b>${accepted.toLocaleString("en")} of ${judged.toLocaleString("en")} strangers</b> would get in.`;
    parts.interval.textContent = `That is ${percent(accepted / judged)} for this owner (95 % interval ${percent(low)} to ${percent(high)}, ${data.source}).`;
    this.judgeOwner(threshold);
    parts.output.innerHTML = `limit <b>${limitText(threshold)}</b>`;
    parts.range.setAttribute("aria-valuetext", `${limitText(threshold)}: ${accepted} of ${judged} strangers would get in`);
    for (const bar of this.columns) bar.dataset.verdict = Number(bar.dataset.at) < threshold ? "open" : "closed";
    for (const button of parts.marks.children) {
      button.setAttribute("aria-pressed", String(Math.abs(Number(button.dataset.value) - threshold) < 0.0026));
    }
    let inside = 0;
    for (const tile of this.tiles.values()) {
      const verdict = tile.distance < threshold ? "open" : "closed";
      inside += verdict === "open";
      if (tile.dataset.verdict === verdict) continue;
      tile.dataset.verdict = verdict;
      tile.firstChild.alt = `Generated stranger at distance ${distanceText(tile.distance, threshold)}: ${WORDS[verdict]}`;
      tile.title = `${WORDS[verdict]}, distance ${distanceText(tile.distance, threshold)}`;
    }
    parts.note.textContent = `${data.note}: ${inside || "none"} of these would get in`;
  }
}

export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  const root = parentElement.querySelector(".judge-root");
  root.judge ??= new Judge(root);
  root.judge.update(data, setStateValue, setTriggerValue);
}
