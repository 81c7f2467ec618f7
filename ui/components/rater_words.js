// The words of a block, as core.studies.words has them: {names} are filled in, and a key with .one is for the number one.

class RaterWords {
  constructor(texts) { this.texts = texts; }
  number(value) { return String(value).replace(/\B(?=(\d{3})+$)/g, this.texts["number.thousands"]); }
  say(key, values = {}) {
    return this.texts[key].replace(/\{([a-z_]+)\}/g, (name, inner) => (inner in values ? (typeof values[inner] === "number" ? this.number(values[inner]) : values[inner]) : name));
  }
  // The text of a key as nodes: [what stands in square brackets] is a key of the keyboard.
  withKeys(key) {
    return this.say(key).split(/[[\]]/).map((part, place) => (place % 2 ? Object.assign(document.createElement("kbd"), { textContent: part }) : document.createTextNode(part)));
  }
  count(key, count, values = {}) { return this.say(count === 1 && `${key}.one` in this.texts ? `${key}.one` : key, { count, ...values }); }
}
