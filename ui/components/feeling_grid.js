// One person's faces, one feeling growing upward and the other to the right. A ring says what a network sees, the line is where it
// finds both equally likely, stripes are people's answers. Faces are kept and moved, never rebuilt, while they are being drawn.

const SVG = "http://www.w3.org/2000/svg";

class FeelingGrid {
  constructor(root) {
    this.cells = [];
    root.innerHTML = `
      <div class="feelings">
        <p class="feelings-up" aria-hidden="true"></p>
        <div class="feelings-faces"><div class="feelings-cells"></div><svg aria-hidden="true" preserveAspectRatio="none"></svg></div>
        <p class="feelings-right" aria-hidden="true"></p>
        <p class="feelings-legend"></p>
      </div>`;
    const find = (selector) => root.querySelector(selector);
    this.parts = { cells: find(".feelings-cells"), svg: find("svg"), up: find(".feelings-up"), right: find(".feelings-right"),
      legend: find(".feelings-legend") };
  }

  update({ cells, lines, emotions, side }, pick) {
    const { parts } = this;
    this.pick = pick;
    parts.up.textContent = `${emotions[0]} →`;
    parts.right.textContent = `${emotions[1]} →`;
    const asked = cells.some((cell) => cell.votes.length), others = cells.some((cell) => cell.src && cell.side < 0);
    const swatches = emotions.map((emotion, index) => [index, emotion]).concat(others ? [[-1, "another feeling"]] : []);
    parts.legend.replaceChildren(...swatches.map(([name, words]) => {
      const entry = Object.assign(document.createElement("span"), { textContent: words });
      entry.dataset.side = name;
      return entry;
    }), ...(asked ? [Object.assign(document.createElement("span"), { textContent: "stripes: what people said", className: "feelings-asked" })] : []));
    parts.cells.style.setProperty("--side", side);
    while (this.cells.length < cells.length) {
      const button = Object.assign(document.createElement("button"), { type: "button", className: "feeling" });
      button.innerHTML = `<img alt=""><span></span><i></i>`;
      button.addEventListener("click", () => this.pick(button.dataset.id));
      this.cells.push(button);
    }
    const rows = Array.from({ length: side }, (_, row) => cells.map((cell, index) => [cell, index])
      .filter(([, index]) => Math.floor(index / side) === side - 1 - row)).flat(); // the strongest first feeling on top
    const buttons = rows.map(([cell, index]) => this.cell(this.cells[index], cell));
    if (parts.cells.children.length !== buttons.length) parts.cells.replaceChildren(...buttons);
    parts.svg.setAttribute("viewBox", `0 0 ${side} ${side}`);
    parts.svg.replaceChildren(...["feelings-halo", "feelings-line"].flatMap((name) => lines.map(([x1, y1, x2, y2]) => {
      const line = document.createElementNS(SVG, "line");
      line.setAttribute("class", name);
      for (const [key, value] of Object.entries({ x1: x1 + 0.5, y1: side - 0.5 - y1, x2: x2 + 0.5, y2: side - 0.5 - y2 })) line.setAttribute(key, value);
      return line;
    })));
  }

  cell(button, cell) {
    const [picture, other, votes] = button.children;
    button.dataset.id = cell.id;
    button.dataset.side = cell.src ? cell.side : "waiting";
    button.disabled = !cell.src;
    button.setAttribute("aria-label", cell.alt);
    button.title = cell.alt;
    button.style.setProperty("--sure", cell.share);
    if (cell.src && picture.getAttribute("src") !== cell.src) picture.src = cell.src;
    other.textContent = cell.other;
    const total = cell.votes.reduce((sum, count) => sum + count, 0);
    votes.hidden = !total;
    votes.replaceChildren(...cell.votes.map((count, index) => {
      const part = document.createElement("b");
      part.dataset.side = [0, -1, 1][index];
      part.style.width = `${(100 * count) / Math.max(1, total)}%`;
      return part;
    }));
    return button;
  }
}

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".feeling_grid-root");
  root.grid ??= new FeelingGrid(root);
  root.grid.update(data, (id) => setTriggerValue("picked", id));
}
