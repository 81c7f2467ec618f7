// A whole block of trials without a word to the server in between, except the answers, which go their own way (answers.js).
// Mounting again with new data never disturbs a block that runs.

const ANSWER_KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "0", "q", "w"];
const MASK_TILES = 12; // a side
const PART = 50; // trials between two breaks, about
const TELL_AGAIN_MS = 4000;

class Block {
  constructor(root, data) {
    this.root = root;
    this.data = data;
    const words = this.words = new RaterWords(data.words);
    root.lang = words.say("language.code");
    root.innerHTML = `
      <div class="trial-line"><span class="trial-count"></span><div class="trial-done"><i></i></div><span class="trial-status" role="status"></span></div>
      <div class="trial-stage" data-shows="${data.shows}">
        ${data.shows === "face" ? "<canvas role='img' data-label='block.face'></canvas>" : "<div class='trial-pair'><img data-label='block.first'><img data-label='block.second'></div>"}
        <div class="trial-screen" role="region" aria-live="polite" data-label="block.message"></div>
      </div>
      ${data.question === "identity" ? "<div class='trial-ask' data-shown='false'></div>" : `<p class='trial-question trial-prompt' hidden></p>
      <div class='trial-choices' role='group' data-label='ask.emotion' data-shown='false' data-question='${data.question}'></div><div class='trial-ends' hidden><span></span><span></span></div>`}`;
    for (const part of root.querySelectorAll("[data-label]")) part.setAttribute(part.tagName === "IMG" ? "alt" : "aria-label", words.say(part.dataset.label));
    const find = (selector) => root.querySelector(selector);
    this.parts = { stage: find(".trial-stage"), screen: find(".trial-screen"), canvas: find("canvas"), pair: [...root.querySelectorAll(".trial-pair img")],
      choices: find(".trial-choices"), ask: find(".trial-ask"), count: find(".trial-count"), done: find(".trial-done i"), status: find(".trial-status") };
    this.session = Math.random().toString(36).slice(2, 10); // one a visit
    this.queue = new AnswerQueue(data.study, data.code, words, () => this.status());
    this.shown = new Shown(data.study, data.code);
    this.pictures = new Map(); // address -> Blob
    this.missed = new Map(); // stimulus -> deadlines that went by
    this.kept = []; // answers of a preview
    if (data.question === "identity") this.pair = new PairTrial(this.parts.ask, words, data.choices[0][0] === "0");
    else this.makeChoices();
    const listen = (target, kind, heard) => target.addEventListener(kind, (event) => { if (root.isConnected && root.block === this) heard(event); }, true);
    listen(window, "keydown", (event) => this.key(event));
    listen(document, "visibilitychange", () => this.looked());
    listen(window, "blur", (event) => { if (event.target === window) this.interrupt(); }); // a button losing focus is none
    this.stayOpen();
    this.queue.send();
    this.start();
  }

  // Streamlit locks the page when its own connection is lost; a block needs none (see trial.css for its dialog).
  stayOpen() {
    const unlock = () => {
      if (!this.root.isConnected) return watcher.disconnect();
      for (let place = this.root; place; place = place.parentElement) {
        if (place.inert) place.inert = false;
        if (place.getAttribute("aria-hidden") === "true") place.removeAttribute("aria-hidden");
      }
    };
    const watcher = new MutationObserver(unlock);
    watcher.observe(document.documentElement, { attributes: true, attributeFilter: ["inert", "aria-hidden"], subtree: true });
  }

  // What is still to be asked: the server's list without what waits in this browser; what was begun before comes last.
  left() {
    const waiting = new Set(this.queue.waiting().map((answer) => answer.rating_id));
    const kept = new Set(this.data.adaptive ? this.kept.map((answer) => answer.stimulus) : []);
    const open = this.data.trials.filter((trial) => !kept.has(trial.stimulus) && !Object.values(trial.ids).every((identifier) => waiting.has(identifier)));
    const seen = (trial) => !this.pair && this.shown.of(trial.stimulus) > 0;
    return [...open.filter((trial) => !seen(trial)), ...open.filter(seen)];
  }

  async start() {
    this.todo = this.left();
    this.total = this.data.total;
    this.index = this.data.adaptive ? this.data.answered : this.total - this.todo.length;
    this.status();
    if (!this.todo.length) return this.finished();
    if (!(await this.prepare())) return;
    if (!this.data.adaptive || !this.began) await this.ready(); // else the next face of a row that goes on
    this.began = performance.now();
    await this.go();
  }

  async prepare() {
    const addresses = [...new Set(this.todo.flatMap((trial) => trial.images))].filter((address) => !this.pictures.has(address));
    const parts = Math.max(1, Math.round(this.todo.length / PART));
    this.part = Math.ceil(this.todo.length / parts);
    let made = 0;
    const bar = this.message("block.preparing", null, true);
    const show = () => bar?.style.setProperty("--done", made / Math.max(1, addresses.length));
    const fetchOne = async () => {
      for (let address = addresses.pop(); address; address = addresses.pop()) {
        await this.picture(address);
        made += 1;
        show();
      }
    };
    const wanted = addresses.length;
    try {
      const lanes = Array.from({ length: 6 }, fetchOne);
      if (bar) bar.parentElement.setAttribute("aria-valuemax", wanted);
      await Promise.all(lanes);
    } catch (error) {
      await this.message("block.failed", this.words.say("block.failed.again"));
      return this.prepare();
    }
    if (!this.data.adaptive || !this.interval) this.interval = await this.measured();
    return true;
  }

  async picture(address) {
    const reply = await fetch(address, { credentials: "same-origin" });
    if (!reply.ok) throw new Error(`${address}: ${reply.status}`);
    const blob = await reply.blob();
    (await createImageBitmap(blob)).close(); // decodes, or says now that it cannot
    this.pictures.set(address, this.data.shows === "face" ? blob : URL.createObjectURL(blob));
  }

  // The refresh interval in ms; waits while the tab is hidden, where no frames are made.
  async measured() {
    while (document.visibilityState !== "visible") await this.hidden();
    return refreshInterval();
  }

  async hidden() {
    this.message("block.hidden");
    while (document.visibilityState !== "visible") await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
  }

  async ready() {
    const again = this.index > 0;
    const trials = this.words.count(`count.${this.data.shows}`, this.todo.length);
    const touch = matchMedia("(hover: none)").matches, device = touch ? "touch" : "keys";
    const letters = { last: this.data.choices.length, yes: this.words.say("ask.same.yes_key"), no: this.words.say("ask.same.no_key") };
    const how = this.words.say(`block.how.${{ emotion: "", identity: "pair." }[this.data.question] ?? "own."}${device}`, letters);
    for (;;) {
      const title = this.words.say(again ? "block.again" : this.data.practice ? "block.practice" : "block.ready", { trials });
      await this.screen(title, how, this.words.say(`block.begin.${device}`));
      if (document.visibilityState === "visible") return;
      await this.hidden();
    }
  }

  async go() {
    const next = this.words.say("button.next");
    let sincePause = 0;
    await this.decode();
    while (this.todo.length && !this.queue.problem) {
      if (sincePause >= this.part && this.todo.length > 5) {
        await Promise.all([this.decode(), this.message("block.break", next, false, { answers: this.words.count("count.answer", this.index), left: this.todo.length })]);
        sincePause = 0;
      }
      const trial = this.todo[0];
      this.status();
      this.hideScreen();
      const answered = this.pair ? await this.compared(trial) : await this.timed(trial);
      if (this.queue.problem) break; // refused while this one was shown
      if (!answered) {
        this.todo.push(this.todo.shift()); // asked again at the end
        await this.decode();
        await this.message(this.late ? "block.late" : "block.paused", next);
        continue;
      }
      this.todo.shift();
      this.index += 1;
      sincePause += 1;
      if (this.data.practice) await this.tellAnswer(trial, answered);
      else this.save(trial, answered);
    }
    if (this.queue.problem) this.refused();
    else this.finished();
  }

  // Bitmaps of the faces up to the next break; those of the last part make room.
  async decode() {
    if (this.data.shows !== "face") return;
    const wanted = new Set(this.todo.slice(0, this.part + 5).map((trial) => trial.images[0]));
    this.bitmaps ??= new Map();
    for (const [address, bitmap] of this.bitmaps) if (!wanted.has(address)) { bitmap.close(); this.bitmaps.delete(address); }
    for (const address of wanted) if (!this.bitmaps.has(address)) this.bitmaps.set(address, await createImageBitmap(this.pictures.get(address)));
  }

  async timed(trial) {
    if (document.visibilityState !== "visible") await this.hidden().then(() => this.hideScreen());
    const { choices } = this.parts, stage = this.data.shows === "face" ? await this.faceStage(trial) : await this.pairStage(trial);
    const before = this.shown.of(trial.stimulus);
    this.shown.add(trial.stimulus);
    const { fixation_ms: fixation, image_ms: image, mask_ms: mask, deadline_ms: deadline } = this.data;
    this.running = new TimedTrial(stage, { fixation, image, mask, deadline, interval: this.interval });
    const measured = await this.running.run();
    this.noteDeadline(trial, Boolean(this.running.late));
    this.running = null;
    choices.dataset.shown = "false";
    const task = { emotion: "emotion", labels: "label", scale: "scale" }[this.data.question];
    return measured && { [task]: { ...measured, times_shown_before: before, ...stage.record() } };
  }

  noteDeadline(trial, late) {
    this.late = late;
    if (late) this.missed.set(trial.stimulus, (this.missed.get(trial.stimulus) ?? 0) + 1);
  }

  // What a trial with one face draws.
  async faceStage(trial) {
    if (!this.bitmaps.has(trial.images[0])) await this.decode();
    const { canvas, choices } = this.parts, brush = canvas.getContext("2d", { alpha: false });
    const side = Math.round(canvas.clientWidth * devicePixelRatio);
    if (canvas.width !== side) canvas.width = canvas.height = side;
    const grey = getComputedStyle(this.parts.stage).backgroundColor;
    const clear = () => { brush.fillStyle = grey; brush.fillRect(0, 0, side, side); };
    const stage = {
      blank: () => { clear(); choices.dataset.shown = "false"; },
      cross: () => {
        stage.blank();
        const arm = side * 0.045, wide = Math.max(2, Math.round(side * 0.008));
        brush.fillStyle = "#111";
        brush.fillRect(side / 2 - arm, side / 2 - wide / 2, 2 * arm, wide);
        brush.fillRect(side / 2 - wide / 2, side / 2 - arm, wide, 2 * arm);
      },
      image: () => {
        stage.blank();
        brush.imageSmoothingQuality = "high";
        brush.drawImage(this.bitmaps.get(trial.images[0]), 0, 0, side, side);
      },
      mask: () => { clear(); this.drawMask(brush, this.bitmaps.get(trial.images[0]), side); },
      buttons: () => { choices.dataset.shown = "true"; },
      choice: () => { clear(); stage.buttons(); },
      record: () => ({ image_size: Math.round(side / devicePixelRatio) }),
    };
    return stage;
  }

  // What a trial with two faces shows.
  async pairStage(trial) {
    const faces = trial.images.map((address) => this.pictures.get(address)), { choices, pair } = this.parts;
    await Promise.all(faces.map((address) => Object.assign(new Image(), { src: address }).decode()));
    const show = (visible) => pair.forEach((picture, place) => { picture.src = faces[place]; picture.style.visibility = visible ? "" : "hidden"; });
    const stage = {
      blank: () => { show(false); choices.dataset.shown = "false"; },
      cross: () => stage.blank(),
      image: () => show(true),
      buttons: () => { choices.dataset.shown = "true"; },
      choice: () => { show(false); stage.buttons(); },
      record: () => ({}),
    };
    return stage;
  }

  // The image's own tiles in a random order: as bright and as coloured as the image, without its face.
  drawMask(brush, bitmap, side) {
    const places = Array.from({ length: MASK_TILES ** 2 }, (_, place) => place), cut = bitmap.width / MASK_TILES, tile = side / MASK_TILES;
    for (let last = places.length - 1; last > 0; last -= 1) {
      const other = Math.floor(Math.random() * (last + 1));
      [places[last], places[other]] = [places[other], places[last]];
    }
    places.forEach((from, to) => brush.drawImage(bitmap, (from % MASK_TILES) * cut, Math.floor(from / MASK_TILES) * cut, cut, cut,
      (to % MASK_TILES) * tile, Math.floor(to / MASK_TILES) * tile, tile, tile));
  }

  async compared(trial) {
    const faces = trial.images.map((address) => this.pictures.get(address));
    const ahead = this.todo[1]?.images.map((address) => this.pictures.get(address)) ?? [];
    for (const address of ahead) Object.assign(new Image(), { src: address }).decode().catch(() => {});
    await Promise.all(faces.map((address) => Object.assign(new Image(), { src: address }).decode()));
    let late = false;
    const timer = this.data.deadline_ms ? setTimeout(() => { late = true; this.pair.expire(); }, this.data.deadline_ms) : 0;
    const answers = await this.pair.run(() => this.parts.pair.forEach((picture, place) => { picture.src = faces[place]; }));
    clearTimeout(timer);
    this.noteDeadline(trial, late && !answers);
    return answers;
  }

  // Practice: what the answer was, and what the face shows; nothing is kept.
  async tellAnswer(trial, answers) {
    this.shown.forget(trial.stimulus);
    const [title, text] = trial.feedback[(answers.identity ?? Object.values(answers)[0]).response] ?? ["", ""];
    this.status();
    await this.screen(title, text, this.words.say("button.next"));
  }

  save(trial, answers) {
    if (this.data.preview) {
      for (const [task, measured] of Object.entries(answers)) this.kept.push({ stimulus: trial.stimulus, task, value: measured.response });
      return this.shown.forget(trial.stimulus);
    }
    const shared = { session: this.session, language: this.words.say("language.code"), trial_index: this.index - 1, time_elapsed: Math.round(performance.now() - this.began), stimulus: trial.stimulus,
      button_order: this.data.choices.map(([value]) => value), ...(this.data.deadline_ms ? { deadline: this.data.deadline_ms, times_missed: this.missed.get(trial.stimulus) ?? 0 } : {}),
      viewport: [innerWidth, innerHeight], device_pixel_ratio: Math.round(devicePixelRatio * 100) / 100 };
    this.queue.add(Object.entries(answers).map(([task, measured]) => ({
      rating_id: trial.ids[task], stimulus: trial.stimulus, task, value: measured.response, reaction_time_ms: measured.rt,
      presented: { trial_type: this.pair ? "pair-comparison" : this.data.shows === "pair" ? "timed-pair-choice" : "timed-image-choice", ...shared, ...measured },
      created_at: new Date().toISOString(),
    })));
    this.shown.forget(trial.stimulus);
  }

  // The last answers may still be on their way: the page goes on when the server has all of them.
  finished() {
    this.over = true;
    this.status();
    if (this.data.practice) this.message("block.practised");
    else if (this.data.adaptive) this.message("block.preparing", null, true); // which face comes next follows from this answer
    else this.screen(this.words.say("block.last.title"), this.words.say(this.queue.waiting().length ? "block.last.waiting" : "block.last.saved"));
    this.tell();
  }

  // At once, also in the middle of a trial: nobody answers what is not taken.
  refused() {
    this.over = true;
    this.running?.abort();
    if (this.pair) this.pair.resolve = null;
    this.screen(this.words.say("block.refused.title"), this.queue.problem);
  }

  tell() {
    clearTimeout(this.teller);
    if (!this.over || !this.root.isConnected || this.root.block !== this) return;
    if (!this.queue.waiting().length) this.trigger?.("finished", this.data.preview ? this.kept : this.index);
    this.teller = setTimeout(() => this.tell(), TELL_AGAIN_MS);
  }

  update(data, trigger) {
    this.trigger = trigger;
    this.data.trials = data.trials;
    this.data.total = data.total;
    this.data.answered = data.answered;
    if (this.over) this.tell();
    if (this.over && !this.data.practice && (!this.data.preview || this.data.adaptive) && !this.queue.problem && this.left().length) { this.over = false; this.start(); }
  }

  // The message of a key: its title and text.
  message(key, button, bar, values) { return this.screen(this.words.say(`${key}.title`, values), this.words.say(`${key}.text`, values), button, bar); }

  // A message over the stage. With a button: -> a promise, kept when it is pressed (or space, or Enter).
  screen(title, text, button, bar) {
    const { screen } = this.parts;
    screen.replaceChildren(Object.assign(document.createElement("h3"), { textContent: title }), Object.assign(document.createElement("p"), { textContent: text }));
    screen.hidden = false;
    if (this.parts.ask) this.parts.ask.dataset.shown = "false";
    this.pass = null;
    if (bar) {
      const frame = Object.assign(document.createElement("div"), { className: "trial-bar" });
      frame.append(document.createElement("i"));
      screen.append(frame);
      return frame.firstChild;
    }
    if (!button) return null;
    const press = Object.assign(document.createElement("button"), { type: "button", textContent: button });
    screen.append(press);
    return new Promise((resolve) => {
      this.pass = () => { this.pass = null; press.disabled = true; resolve(); };
      onPress(press, () => this.pass?.());
    });
  }

  hideScreen() { this.parts.screen.hidden = true; this.parts.screen.replaceChildren(); this.pass = null; }

  makeChoices() {
    const { choices, question, prompt, ends } = this.data, scale = question === "scale";
    if (prompt) {
      Object.assign(this.parts.choices.previousElementSibling, { textContent: prompt, hidden: false });
      this.parts.choices.setAttribute("aria-label", prompt);
    }
    // Of a scale the key is the point itself, on whichever side it stands.
    this.keys = choices.map(([value], place) => (scale ? String(Number(value) % 10) : ANSWER_KEYS[place]));
    if (scale) {
      const named = this.parts.choices.nextElementSibling, turned = Number(choices[0][0]) > 1;
      named.hidden = false;
      named.querySelectorAll("span").forEach((part, place) => { part.textContent = ends[turned ? 1 - place : place]; });
      this.parts.choices.style.setProperty("--points", choices.length);
    }
    this.parts.choices.append(...choices.map(([value, label], place) => {
      const button = Object.assign(document.createElement("button"), { type: "button", className: "trial-choice" });
      if (!scale) button.append(Object.assign(document.createElement("kbd"), { textContent: this.keys[place].toUpperCase() }));
      button.append(Object.assign(document.createElement("span"), { textContent: label }));
      onPress(button, (event) => this.running?.answer(value, beganAt(event), deviceOf(event)));
      return button;
    }));
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat && !this.pair) return;
    const mine = () => { event.preventDefault(); event.stopPropagation(); };
    if (this.pass && (event.key === " " || event.key === "Enter")) { mine(); return this.pass(); }
    if (this.running) {
      const place = this.keys.indexOf(event.key.toLowerCase());
      if (place >= 0) { mine(); this.running.answer(this.data.choices[place][0], event.timeStamp, "keyboard"); }
    } else if (this.pair && this.parts.screen.hidden && this.pair.key(event)) mine();
  }

  looked() { if (document.visibilityState !== "visible") this.interrupt(); }

  interrupt() {
    this.running?.abort();
    if (this.pair?.resolve) this.pair.interruptions += 1;
  }

  status() {
    const { count: place, done, status } = this.parts;
    place.textContent = this.words.say("block.answered", { done: this.index ?? 0, total: this.total ?? this.data.total });
    done.style.setProperty("--done", (this.index ?? 0) / (this.total ?? this.data.total));
    const sentence = this.data.practice || this.data.preview ? this.words.say(this.data.preview ? "status.preview" : "status.practice") : this.queue.sentence();
    if (status.textContent !== sentence) status.textContent = sentence;
    status.dataset.state = this.queue.state();
    if (this.queue.problem) this.refused();
    else if (this.over && !this.queue.waiting().length) this.tell();
  }
}

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".trial-root");
  if (root.block?.data.code !== data.code) root.block = new Block(root, data);
  root.block.update(data, setTriggerValue);
}
