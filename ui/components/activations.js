// Six small distributions of logits: the population as bars, the filter's limit as a line, this run's faces as marks that can be pressed.

const across = (row, value) => `${Math.min(Math.max(((value - row.low) / (row.high - row.low)) * 100, 0), 100).toFixed(2)}%`;

function panel(row, pick) {
  const figure = document.createElement("figure");
  figure.className = "activation";
  figure.dataset.wanted = row.wanted;
  const top = Math.max(...row.counts, 1);
  const above = row.marks.filter((mark) => mark.value > row.percentile).length;
  figure.innerHTML = `<figcaption><b></b><span></span></figcaption>
    <div class="activation-plot"><div class="activation-bars" aria-hidden="true"></div><i class="activation-limit"></i><div class="activation-marks"></div></div>
    <p class="activation-scale"><span>${row.low.toFixed(1)}</span><span>${row.high.toFixed(1)}</span></p>`;
  figure.querySelector("b").textContent = row.emotion;
  figure.querySelector("figcaption span").textContent = `${above} of ${row.marks.length} above the mark at ${row.percentile.toFixed(2)}`;
  figure.querySelector(".activation-bars").append(...row.counts.map((count, index) => {
    const bar = document.createElement("i");
    bar.style.height = `${(count / top) * 100}%`;
    bar.dataset.above = row.low + ((index + 0.5) / row.counts.length) * (row.high - row.low) > row.percentile;
    return bar;
  }));
  figure.querySelector(".activation-limit").style.left = across(row, row.percentile);
  figure.querySelector(".activation-marks").append(...row.marks.map((mark) => {
    const button = document.createElement("button");
    button.type = "button";
    button.style.left = across(row, mark.value);
    button.dataset.verdict = mark.verdict;
    button.dataset.id = mark.id;
    button.title = `${mark.words}: ${row.emotion} ${mark.value.toFixed(2)}`;
    button.setAttribute("aria-label", button.title);
    button.addEventListener("click", () => pick(mark.id));
    return button;
  }));
  return figure;
}

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".activations-root");
  root.pick = (id) => setTriggerValue("picked", id);
  const shown = JSON.stringify(data.rows);
  if (root.shown === shown) return;
  root.shown = shown;
  root.replaceChildren(...data.rows.map((row) => panel(row, (id) => root.pick(id))));
}
