const specs = JSON.parse(document.getElementById('figures').textContent);
const night = JSON.parse(document.getElementById('dark').textContent);
const wantsDark = matchMedia('(prefers-color-scheme: dark)');
const swap = value => {
  if (typeof value === 'string') {
    if (night[value]) return night[value];
    if (value.startsWith('rgba(')) for (const [light, dark] of Object.entries(night))
      if (!light.startsWith('#') && value.startsWith('rgba(' + light + ',')) return value.replace(light, dark);
    return value;
  }
  if (Array.isArray(value)) return value.length > 2000 ? value : value.map(swap);
  if (value && typeof value === 'object') return Object.fromEntries(Object.entries(value).map(
    ([name, each]) => [name, name === 'customdata' || name === 'meta' || name === 'bdata' ? each : swap(each)]));
  return value;
};
const config = {responsive: true, displaylogo: false, modeBarButtonsToRemove: ['lasso2d', 'select2d'],
  toImageButtonOptions: {format: 'svg', filename: 'liminal'}};
const draw = (place, dark) => {
  const spec = dark ? swap(specs[place]) : structuredClone(specs[place]);
  return Plotly.react('f' + place, spec.data, spec.layout, config);
};
const drawAll = dark => specs.forEach((_, place) => draw(place, dark));
drawAll(wantsDark.matches);
wantsDark.addEventListener('change', event => drawAll(event.matches));
addEventListener('beforeprint', () => drawAll(false));
addEventListener('afterprint', () => drawAll(wantsDark.matches));
