// Answers on their way to the server. Each is kept in the browser under its own name until the server says that it is on its disk;
// sent one by one, in order, and again after a lost connection, a reload or a restart. Its UUID makes twice sent once kept.

const ANSWER_WAIT_MS = [500, 1000, 2000, 4000, 8000];
const ANSWER_TIMEOUT_MS = 15000;

class AnswerQueue {
  constructor(study, code, words, changed) {
    this.code = code;
    this.words = words;
    this.prefix = `liminal.answer.${study}.${code}.`;
    this.changed = changed;
    this.memory = new Map(); // where the browser keeps nothing (private windows)
    this.failures = 0;
    this.problem = ""; // the server's sentence when it takes no more
    this.refused = 0;
    window.addEventListener("online", () => this.send());
  }

  names() {
    const names = new Set(this.memory.keys());
    try {
      for (let place = 0; place < localStorage.length; place += 1) {
        const name = localStorage.key(place);
        if (name.startsWith(this.prefix)) names.add(name);
      }
    } catch { /* the browser keeps nothing: memory has them */ }
    return [...names];
  }

  read(name) {
    if (this.memory.has(name)) return this.memory.get(name);
    try {
      const answer = JSON.parse(localStorage.getItem(name));
      if (answer?.rating_id && answer.stimulus) return answer;
    } catch { /* not ours, or cut off */ }
    return null;
  }

  waiting() {
    return this.names().map((name) => this.read(name)).filter(Boolean)
      .sort((a, b) => (a.created_at < b.created_at ? -1 : a.created_at > b.created_at ? 1 : a.rating_id < b.rating_id ? -1 : 1));
  }

  add(answers) {
    for (const answer of answers) {
      const name = this.prefix + answer.rating_id;
      try { localStorage.setItem(name, JSON.stringify(answer)); } catch { this.memory.set(name, answer); }
    }
    this.changed();
    this.send();
  }

  remove(identifier) {
    this.memory.delete(this.prefix + identifier);
    try { localStorage.removeItem(this.prefix + identifier); } catch { /* was only in memory */ }
  }

  // An answer that the server calls senseless would stop all others: it is put aside, not thrown away.
  setAside(answer) {
    try { localStorage.setItem(`liminal.refused.${answer.rating_id}`, JSON.stringify(answer)); } catch { /* nowhere to put it */ }
    this.remove(answer.rating_id);
    this.refused += 1;
  }

  async send() {
    if (this.busy || this.problem) return;
    this.busy = true;
    clearTimeout(this.timer);
    try {
      for (let next = this.waiting()[0]; next; next = this.waiting()[0]) {
        if (!(await this.post(next))) break;
        this.changed();
      }
    } finally {
      this.busy = false;
      this.changed();
    }
  }

  async post(answer) {
    let reply;
    try {
      reply = await fetch("/studies/answers", {
        method: "POST", cache: "no-store", credentials: "same-origin", signal: AbortSignal.timeout?.(ANSWER_TIMEOUT_MS),
        headers: { "Content-Type": "application/json" }, body: JSON.stringify({ code: this.code, answers: [answer] }),
      });
      if (reply.ok && (await reply.json()).acknowledged?.includes(answer.rating_id)) {
        this.remove(answer.rating_id);
        this.failures = 0;
        return true;
      }
    } catch { reply = null; }
    if (reply && [400, 413, 415, 422].includes(reply.status)) {
      this.setAside(answer);
      return true;
    }
    if (reply && [403, 404, 409, 410].includes(reply.status)) {
      const known = `block.refused.${reply.status}`;
      this.problem = this.words.say(known in this.words.texts ? known : "block.refused");
      return false;
    }
    this.failures += 1;
    this.timer = setTimeout(() => this.send(), ANSWER_WAIT_MS[Math.min(this.failures, ANSWER_WAIT_MS.length) - 1]);
    return false;
  }

  sentence() {
    const words = this.words, count = this.waiting().length, answers = words.count("count.answer", count);
    const aside = this.refused ? ` ${words.say("status.aside", { count: this.refused })}` : "";
    if (count === 0) return `${words.say("status.saved")}${aside}`;
    if (this.problem) return `${words.count("status.refused", count, { answers })} ${this.problem}`;
    return `${words.count(this.failures ? "status.waiting" : "status.saving", count, { answers })}${aside}`;
  }

  state() {
    return this.problem ? "refused" : this.failures && this.waiting().length ? "waiting" : this.waiting().length ? "saving" : "saved";
  }
}

// What was begun but not answered, so that a reload does not hide that a face was seen before.
class Shown {
  constructor(study, code) { this.name = `liminal.shown.${study}.${code}`; this.counts = this.read(); }
  read() { try { return JSON.parse(localStorage.getItem(this.name)) ?? {}; } catch { return {}; } }
  of(stimulus) { return this.counts[stimulus] ?? 0; }
  add(stimulus) { this.counts[stimulus] = this.of(stimulus) + 1; this.write(); }
  forget(stimulus) { delete this.counts[stimulus]; this.write(); }
  write() { try { localStorage.setItem(this.name, JSON.stringify(this.counts)); } catch { /* kept for this page only */ } }
}
