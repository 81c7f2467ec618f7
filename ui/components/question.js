// One face and six feelings, at one's own pace. A press (or a key from 1 to 6) hands the answer to the page, which sends the next
// face with the same message that says what had been guessed; until then nothing can be pressed twice.

class Question {
  constructor(root) {
    this.root = root;
    root.innerHTML = `<div class="question-stage"><img class="question-face" alt="A generated face: which feeling is it?"></div>
      <div class="question-side"><p class="question-ask">Which feeling is this?</p>
      <div class="question-choices" role="group" aria-label="Which feeling is this?"></div>
      <p class="question-keys">Or press a key from 1 to 6.</p>
      <p class="question-told" role="status" aria-live="polite"></p></div>`;
    this.face = root.querySelector(".question-face");
    this.choices = root.querySelector(".question-choices");
    this.told = root.querySelector(".question-told");
    window.addEventListener("keydown", (event) => this.key(event), true);
  }

  key(event) {
    if (!this.root.isConnected || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (event.target.closest?.("input, textarea, select, [role=dialog], [role=listbox]")) return;
    const place = Number(event.key) - 1;
    if (Number.isInteger(place) && place >= 0 && place < (this.data?.emotions.length ?? 0)) this.answer(place);
  }

  answer(place) {
    if (this.answered === this.data.number || !this.began) return;
    this.answered = this.data.number;
    this.root.dataset.waiting = "true";
    [...this.choices.children].forEach((button, each) => button.setAttribute("aria-pressed", String(each === place)));
    this.send("answered", { number: this.data.number, stimulus: this.data.stimulus, emotion: this.data.emotions[place],
      milliseconds: Math.round(performance.now() - this.began) });
  }

  async show(data, send) {
    const fresh = data.number !== this.data?.number || data.stimulus !== this.data?.stimulus;
    this.data = data;
    this.send = send;
    if (this.choices.childElementCount !== data.emotions.length) {
      this.choices.replaceChildren(...data.emotions.map((emotion, place) => {
        const button = Object.assign(document.createElement("button"), { type: "button", className: "question-choice" });
        button.append(Object.assign(document.createElement("kbd"), { textContent: place + 1 }), emotion);
        onPress(button, () => this.answer(place));
        return button;
      }));
    }
    this.told.textContent = data.told;
    this.told.dataset.right = data.right ?? "";
    if (!fresh) return;
    this.began = 0;
    const picture = Object.assign(new Image(), { src: data.src });
    await picture.decode().catch(() => {});
    if (this.data.number !== data.number || this.data.stimulus !== data.stimulus) return; // the next one came meanwhile
    this.face.src = data.src;
    this.root.dataset.waiting = "false";
    this.root.dataset.number = data.number;
    for (const button of this.choices.children) button.setAttribute("aria-pressed", "false");
    this.began = performance.now();
  }
}

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".question-root");
  root.question ??= new Question(root);
  root.question.show(data, setTriggerValue);
}
