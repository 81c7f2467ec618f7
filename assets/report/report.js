// Draws the figures of a report, in the reader's light or dark, and saves them. No request leaves the file.
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const figures = new Map(read("figures").map((each) => [each.id, each]));
  const dark = Object.entries(read("dark"));
  const file = read("file");
  const night = matchMedia("(prefers-color-scheme: dark)");
  const drawn = new Map(); // id -> the look it was drawn in
  let printing = false;

  const swap = (value) => {
    if (typeof value === "string") {
      const exact = dark.find(([light]) => value === light);
      if (exact) return exact[1];
      if (value.startsWith("rgba(")) {
        const found = dark.find(([light]) => !light.startsWith("#") && value.startsWith(`rgba(${light}`));
        if (found) return value.replace(found[0], found[1]);
      }
      return value;
    }
    if (Array.isArray(value)) return value.map(swap);
    if (value && typeof value === "object" && !ArrayBuffer.isView(value)) {
      return Object.fromEntries(
        Object.entries(value).map(([name, each]) => [name, name === "customdata" || name === "meta" ? each : swap(each)]),
      );
    }
    return value;
  };

  const draw = async (id) => {
    const look = night.matches && !printing ? "dark" : "light";
    if (drawn.get(id) === look) return;
    drawn.set(id, look);
    const place = document.querySelector(`#${CSS.escape(id)} .figure`);
    const own = structuredClone(figures.get(id).figure);
    const { data, layout } = look === "dark" ? swap(own) : own;
    layout.paper_bgcolor = layout.plot_bgcolor = "rgba(0,0,0,0)";
    layout.autosize = true;
    delete layout.width;
    await Plotly.react(place, data, layout, { displayModeBar: false, responsive: true, scrollZoom: false });
    place.dataset.drawn = look;
  };

  const drawAll = () => Promise.all([...figures.keys()].map(draw));
  const seen = new IntersectionObserver(
    (entries) => entries.forEach((entry) => entry.isIntersecting && draw(entry.target.closest("article").id)),
    { rootMargin: "800px" },
  );
  document.querySelectorAll(".exhibit .figure").forEach((place) => {
    const height = figures.get(place.closest("article").id).figure.layout.height;
    place.style.minHeight = `${height ?? 450}px`;
    seen.observe(place);
  });
  const idle = window.requestIdleCallback ?? ((work) => setTimeout(work, 200));
  const rest = [...figures.keys()];
  const one = () => { const id = rest.shift(); if (id) draw(id).then(() => idle(one)); };
  idle(one); // the others too, so that the page can be printed and searched

  night.addEventListener("change", drawAll);
  window.addEventListener("beforeprint", () => {
    printing = true;
    document.querySelectorAll("details.reasons").forEach((each) => { each.open = true; });
    drawAll();
  });
  window.addEventListener("afterprint", () => { printing = false; drawAll(); });

  const csv = ({ columns, data }) => {
    const cell = (value) => {
      if (value === null) return "";
      let text = String(value);
      if (typeof value === "string" && /^'*[=+\-@\t\r\n＝＋－＠]/.test(text)) text = `'${text}`; // what a spreadsheet would compute
      return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    };
    return "\ufeff" + [columns, ...data].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
  };
  document.addEventListener("click", async (event) => {
    const kind = event.target.dataset?.save;
    if (!kind) return;
    const { id } = event.target.closest("article");
    const name = `${file}-${id}`;
    if (kind === "csv") {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([csv(figures.get(id))], { type: "text/csv" }));
      link.download = `${name}.csv`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 5000);
      return;
    }
    const { data, layout } = structuredClone(figures.get(id).figure); // always in the light look, on paper
    await Plotly.downloadImage({ data, layout }, { format: kind, width: 900, height: layout.height ?? 520, scale: kind === "png" ? 2 : 1, filename: name });
  });
})();
