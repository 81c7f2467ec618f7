// What the machine minds beside what people mind: a row a part of the face, with the face at its low and at its high end.

const make = (tag, name, text = "") => Object.assign(document.createElement(tag), { className: name, textContent: text });

function track(value, side) {
  const box = make("span", `cause-track cause-${side}`);
  if (!value) return box;
  const line = make("span", "cause-line");
  if (value.low !== null) {
    const band = make("i", "");
    band.style.left = `${100 * value.low}%`;
    band.style.width = `${100 * (value.high - value.low)}%`;
    line.append(band);
  }
  const dot = make("b", "");
  dot.style.left = `${100 * value.at}%`;
  dot.dataset.hollow = String(value.hollow);
  line.append(dot);
  box.append(line, make("small", "", value.text));
  return box;
}

function picture(src, words) {
  const figure = make("span", "cause-face");
  figure.append(src ? Object.assign(document.createElement("img"), { src, alt: "", decoding: "async" }) : make("span", "cause-wait"));
  figure.append(make("small", "", words));
  return figure;
}

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".causes-root");
  root.pick = (id) => setTriggerValue("picked", id);
  root.rows ??= new Map();
  const focused = root.contains(document.activeElement) ? document.activeElement : null;
  const heads = make("div", "cause-heads");
  for (const [name, text, note] of [["machine", data.machine, data.machine_axis], ["people", data.people, data.people_axis]]) {
    const head = make("span", `cause-head cause-${name}`);
    head.append(make("b", "", text), make("small", "", note));
    heads.append(head);
  }
  const shown = data.rows.map((spec) => {
    if (!root.rows.has(spec.id)) {
      const row = Object.assign(make("button", "cause"), { type: "button" });
      row.addEventListener("click", () => root.pick(row.dataset.id));
      root.rows.set(spec.id, row);
    }
    const row = root.rows.get(spec.id);
    const content = JSON.stringify(spec);
    if (row.dataset.content !== content) {
      const name = make("span", "cause-name");
      name.append(make("b", "", spec.title), make("small", "", spec.group));
      row.replaceChildren(picture(spec.low, spec.low_words), picture(spec.high, spec.high_words), name, track(spec.machine, "machine"), track(spec.people, "people"));
      row.dataset.content = content;
    }
    row.dataset.id = spec.id;
    row.dataset.group = spec.kind;
    row.setAttribute("aria-label", spec.alt);
    row.setAttribute("aria-pressed", String(spec.id === data.selected));
    return row;
  });
  const list = root.querySelector(".cause-list") ?? make("div", "cause-list");
  list.replaceChildren(...shown);
  root.replaceChildren(heads, list);
  focused?.focus({ preventScroll: true });
}
