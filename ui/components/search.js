// A search while it runs: the best face of every run, and how its distance falls.

const WIDTH = 640, HEIGHT = 200, LEFT = 8, RIGHT = 8, TOP = 12, BOTTOM = 12;

function line(curve, across, low, high) {
  const x = (iteration) => LEFT + (iteration / across) * (WIDTH - LEFT - RIGHT);
  const y = (distance) => TOP + ((high - distance) / (high - low)) * (HEIGHT - TOP - BOTTOM);
  return curve.filter(([, distance]) => distance !== null).map(([iteration, distance]) => `${x(iteration).toFixed(1)},${y(distance).toFixed(1)}`).join(" ");
}

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".search-root");
  const values = data.runs.flatMap((run) => run.curve.map(([, distance]) => distance)).filter((distance) => distance !== null);
  const high = Math.max(...values, data.targets.at(-1)?.value ?? 0) + 0.03, low = Math.min(...values, data.targets[0]?.value ?? 1) - 0.03;
  const across = Math.max(data.iterations, 1);
  const y = (distance) => TOP + ((high - distance) / (high - low)) * (HEIGHT - TOP - BOTTOM);
  const chart = values.length === 0 ? "" : `
    <div class="search-plot"><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${data.alt}">
      ${data.targets.map((target) => `<line x1="0" x2="${WIDTH}" y1="${y(target.value)}" y2="${y(target.value)}"/>`).join("")}
      ${data.runs.map((run) => `<polyline points="${line(run.curve, across, low, high)}"/>`).join("")}
    </svg>${data.targets.map((target) => `<span style="top:${(y(target.value) / HEIGHT) * 100}%">${target.label}</span>`).join("")}</div>
    <p class="search-axis"><span>start</span><span>${data.axis}</span><span>${data.iterations} rounds</span></p>`;
  root.querySelector(".search-chart").innerHTML = chart;
  const faces = root.querySelector(".search-faces");
  while (faces.children.length > data.runs.length) faces.lastChild.remove();
  data.runs.forEach((run, index) => {
    let figure = faces.children[index];
    if (!figure) {
      figure = document.createElement("figure");
      figure.innerHTML = `<img alt=""><figcaption></figcaption>`;
      faces.append(figure);
    }
    const picture = figure.firstChild;
    if (run.src && picture.getAttribute("src") !== run.src) {
      const next = new Image();
      next.src = run.src;
      next.decode().then(() => { picture.src = run.src; }).catch(() => {});
    }
    picture.alt = `Best face of search ${index + 1} so far. ${run.words}`;
    figure.lastChild.textContent = run.words;
    figure.dataset.verdict = run.verdict;
  });
}
