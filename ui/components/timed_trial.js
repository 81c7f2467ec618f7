// One timed trial: cross, image, a mask where one is asked for, choice (paper B). What is seen changes only inside requestAnimationFrame; frames are counted.
// All times are the browser's own (performance timeline, ms). Presentation is good to one frame, never better.

const FRAMES_MEASURED = 45;

function refreshInterval() {
  return new Promise((resolve) => {
    const stamps = [];
    const tick = (now) => {
      stamps.push(now);
      if (stamps.length <= FRAMES_MEASURED) return requestAnimationFrame(tick);
      const gaps = stamps.slice(1).map((stamp, index) => stamp - stamps[index]).sort((a, b) => a - b);
      resolve(gaps[Math.floor(gaps.length / 2)]);
    };
    requestAnimationFrame(tick);
  });
}

class TimedTrial {
  // stage: {cross, image, mask, choice, blank} draw on the page; they are called inside a frame only. deadline: ms for the choice.
  constructor(stage, { fixation, image, mask = 0, deadline = 0, interval }) {
    Object.assign(this, { stage, interval, deadline, asked: { cross: fixation, image, mask } });
    this.early = 0;
  }

  // -> the measured trial, or null when it was aborted (``late``: by the deadline)
  run() {
    return new Promise((resolve) => {
      this.resolve = resolve;
      requestAnimationFrame((now) => this.begin(this.asked.cross > 0 ? "cross" : "image", now));
    });
  }

  begin(name, now) {
    if (this.ended) return;
    this.stage[name]();
    this.phase = { name, onset: now, last: now, frames: 1, dropped: 0 };
    if (name === "image") this.onset = now;
    this[name] = this.phase;
    if (name === "image" && this.asked.image === 0) this.stage.buttons(); // stays until the answer
    if (this.choosing) {
      if (this.deadline) setTimeout(() => { if (!this.ended) { this.late = true; this.abort(); } }, this.deadline);
    } else requestAnimationFrame((later) => this.tick(later));
  }

  tick(now) {
    if (this.ended) return;
    const phase = this.phase;
    phase.dropped += Math.max(0, Math.round((now - phase.last) / this.interval) - 1);
    phase.last = now;
    if (now - phase.onset < this.asked[phase.name] - this.interval / 2) {
      phase.frames += 1;
      return requestAnimationFrame((later) => this.tick(later));
    }
    phase.duration = now - phase.onset;
    this.begin(phase.name === "cross" ? "image" : phase.name === "image" && this.asked.mask ? "mask" : "choice", now);
  }

  get choosing() {
    return !this.ended && (this.phase?.name === "choice" || (this.phase?.name === "image" && this.asked.image === 0));
  }

  answer(response, stamp, device) {
    if (!this.choosing) { this.early += this.ended ? 0 : 1; return; }
    this.ended = true;
    const rounded = (value) => (value === undefined ? null : Math.round(value * 100) / 100);
    this.resolve({
      response,
      rt: rounded(stamp - this.onset),
      rt_from_image_onset: rounded(stamp - this.onset),
      fixation_duration_asked: this.asked.cross,
      fixation_duration: rounded(this.cross?.duration),
      fixation_frames: this.cross?.frames ?? 0,
      image_duration_asked: this.asked.image,
      image_duration: rounded(this.image.duration),
      image_frames: this.image.frames,
      ...(this.asked.mask ? { mask_duration_asked: this.asked.mask, mask_duration: rounded(this.mask?.duration) } : {}),
      dropped_frames: (this.cross?.dropped ?? 0) + this.image.dropped,
      refresh_rate: rounded(1000 / this.interval),
      early_responses: this.early,
      input_device: device,
    });
  }

  abort() {
    if (this.ended) return;
    this.ended = true;
    requestAnimationFrame(() => this.stage.blank());
    this.resolve(null);
  }
}
