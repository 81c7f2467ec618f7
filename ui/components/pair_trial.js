// One pair of faces and two questions (paper A): how alike, 0 to 100, and the same person or not. It stays until both are answered.

const PAIR_HTML = `
  <div class="trial-similarity" data-set="false">
    <p class="trial-question" id="trial-alike" data-word="ask.alike"></p>
    <input type="range" min="0" max="100" step="1" value="50" aria-labelledby="trial-alike">
    <div class="trial-ends"><span data-word="ask.alike.low"></span><output></output><span data-word="ask.alike.high"></span></div>
    <p class="trial-keys" data-word="ask.alike.keys"></p>
  </div>
  <div>
    <p class="trial-question" id="trial-same" data-word="ask.same"></p>
    <div class="trial-same" role="group" aria-labelledby="trial-same">
      <button type="button" class="trial-choice" data-value="1"><kbd data-word="ask.same.yes_key"></kbd><span data-word="ask.same.yes"></span></button>
      <button type="button" class="trial-choice" data-value="0"><kbd data-word="ask.same.no_key"></kbd><span data-word="ask.same.no"></span></button>
    </div>
  </div>
  <button type="button" class="trial-next" data-word="ask.next" disabled></button>`;

// How keys move the slider; stored with each answer, since earlier ones (without it) began at 50 and moved by 1.
const KEYBOARD = "digits tens, arrows 5, shift 1";

class PairTrial {
  // turned: the buttons of 'same person?' change places.
  constructor(ask, words, turned) {
    ask.innerHTML = PAIR_HTML;
    if (turned) ask.querySelector(".trial-same").prepend(ask.querySelector(".trial-same [data-value='0']"));
    for (const part of ask.querySelectorAll("[data-word]")) part.append(...words.withKeys(part.dataset.word));
    this.words = words;
    this.letters = Object.fromEntries([["1", "yes"], ["0", "no"]].map(([value, name]) => [words.say(`ask.same.${name}_key`).toLowerCase(), value]));
    const find = (selector) => ask.querySelector(selector);
    this.parts = { ask, box: find(".trial-similarity"), range: find("input"), output: find("output"), next: find(".trial-next"), same: [...ask.querySelectorAll(".trial-same button")] };
    const { range, next, same } = this.parts;
    // A press on the very middle changes no value and fires no input event: it is an answer all the same.
    for (const kind of ["input", "pointerup"]) range.addEventListener(kind, (event) => this.alike(Number(range.value), event));
    for (const button of same) onPress(button, (event) => this.identity(button.dataset.value, event));
    onPress(next, (event) => this.finish(event));
  }

  // show(): puts both faces up, inside a frame. -> the measured trial
  run(show) {
    Object.assign(this, { answers: {}, interruptions: 0, moves: 0, resolve: null });
    const { ask, box, range, output, same, next } = this.parts;
    box.dataset.set = "false";
    range.value = 50;
    range.setAttribute("aria-valuetext", this.words.say("ask.alike.unset"));
    output.textContent = "";
    for (const button of same) button.setAttribute("aria-pressed", "false");
    next.disabled = true;
    return new Promise((resolve) => requestAnimationFrame((now) => {
      show();
      ask.dataset.shown = "true";
      this.onset = now;
      this.resolve = resolve;
    }));
  }

  alike(value, event) {
    if (!this.resolve) return;
    this.moves += 1;
    this.parts.range.value = value;
    this.parts.box.dataset.set = "true";
    this.parts.range.removeAttribute("aria-valuetext");
    this.parts.output.textContent = this.parts.range.value;
    this.give("similarity", this.parts.range.value, event);
  }

  identity(value, event) {
    if (!this.resolve) return;
    for (const button of this.parts.same) button.setAttribute("aria-pressed", String(button.dataset.value === value));
    this.give("identity", value, event);
  }

  give(task, response, event) {
    const stamp = task === "similarity" ? event.timeStamp : beganAt(event); // a slider's answer is where it was left
    this.answers[task] = { response, rt: Math.round((stamp - this.onset) * 100) / 100, input_device: deviceOf(event) };
    this.parts.next.disabled = !(this.answers.similarity && this.answers.identity);
  }

  key(event) {
    if (!this.resolve) return false;
    const { range, next, box } = this.parts, step = event.shiftKey ? 1 : 5, value = Number(range.value);
    const places = { Home: 0, End: 100 }, moves = { ArrowRight: step, ArrowUp: step, ArrowLeft: -step, ArrowDown: -step, PageUp: 10, PageDown: -10 };
    if (/^[0-9]$/.test(event.key)) this.alike(10 * Number(event.key), event);
    else if (event.key in places) this.alike(places[event.key], event);
    else if (event.key in moves) {
      // There is no start value to move away from: it would draw answers to itself.
      if (box.dataset.set === "true") this.alike(Math.min(100, Math.max(0, value + moves[event.key])), event);
      else box.querySelector(".trial-keys").animate([{ color: "var(--accent)", fontWeight: 600 }, {}], { duration: 1600 });
    } else if (event.key.toLowerCase() in this.letters) this.identity(this.letters[event.key.toLowerCase()], event);
    else if (event.key === "Enter" && !next.disabled) this.finish(event);
    else return false;
    return true;
  }

  // The time is over: no answer counts.
  expire() {
    const done = this.resolve;
    this.resolve = null;
    done?.(null);
  }

  finish(event) {
    if (!this.resolve) return;
    const done = this.resolve;
    this.resolve = null;
    const shared = { time_to_next: Math.round((beganAt(event) - this.onset) * 100) / 100, interruptions: this.interruptions, slider_moves: this.moves, keyboard: KEYBOARD };
    done(Object.fromEntries(Object.entries(this.answers).map(([task, answer]) => [task, { ...answer, rt_from_pair_onset: answer.rt, ...shared }])));
  }
}
