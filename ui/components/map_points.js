// Drawing many points fast: each is a small mask stamped into the picture's own memory, so that a hundred thousand of them
// are drawn within a frame on any machine. Marks differ in shape as well as in colour.

const SHAPES = {
  circle: (x, y) => x * x + y * y <= 1,
  square: (x, y) => Math.abs(x) <= 0.86 && Math.abs(y) <= 0.86,
  diamond: (x, y) => Math.abs(x) + Math.abs(y) <= 1.18,
  "triangle-up": (x, y) => y <= 0.8 && y >= 2 * Math.abs(x) - 1,
  cross: (x, y) => (Math.abs(x) <= 0.36 && Math.abs(y) <= 1) || (Math.abs(y) <= 0.36 && Math.abs(x) <= 1),
  x: (x, y) => Math.abs(Math.abs(x) - Math.abs(y)) <= 0.42 && Math.abs(x) <= 0.95 && Math.abs(y) <= 0.95,
  star: (x, y) => Math.sqrt(x * x + y * y) <= 0.62 + 0.42 * Math.cos(5 * Math.atan2(x, -y)),
};

// crisp: without soft edges, for the case of very many points.
function maskOf(shape, radius, crisp = false) {
  const side = 2 * Math.ceil(radius) + 1, middle = (side - 1) / 2, fine = 4;
  const alpha = new Uint8Array(side * side);
  const inside = SHAPES[shape] ?? SHAPES.circle;
  for (let row = 0; row < side; row++) for (let column = 0; column < side; column++) {
    let hits = 0;
    for (let a = 0; a < fine; a++) for (let b = 0; b < fine; b++) {
      if (inside((column - middle + (b + 0.5) / fine - 0.5) / radius, (row - middle + (a + 0.5) / fine - 0.5) / radius)) hits++;
    }
    alpha[row * side + column] = Math.round((255 * hits) / (fine * fine));
  }
  const solid = [], soft = []; // row, column from the middle (and alpha)
  for (let row = 0; row < side; row++) for (let column = 0; column < side; column++) {
    const a = alpha[row * side + column];
    if (a >= (crisp ? 110 : 250)) solid.push([row - middle, column - middle]);
    else if (a > 8 && !crisp) soft.push([row - middle, column - middle, a / 255]);
  }
  return { alpha, side, half: middle, solid, soft };
}

const parse = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
const packed = ([red, green, blue]) => ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;

class Stamps {
  // pixels: Uint32 view of an ImageData of width x height
  constructor(pixels, width, height) { Object.assign(this, { pixels, width, height }); }

  clear(colour) { this.pixels.fill(packed(parse(colour))); }

  // The mask's pixels as steps in this picture's memory.
  steps(mask) {
    if (mask.width !== this.width) {
      mask.width = this.width;
      mask.solidSteps = Int32Array.from(mask.solid, ([row, column]) => row * this.width + column);
      mask.softSteps = Int32Array.from(mask.soft, ([row, column]) => row * this.width + column);
      mask.softAlpha = Float32Array.from(mask.soft, (each) => each[2]);
    }
    return mask;
  }

  stamp(mask, x, y, colour) {
    const { width, height, pixels } = this, { half } = mask;
    const column = Math.round(x), row = Math.round(y);
    if (column < half || row < half || column >= width - half || row >= height - half) return; // cut off at the edge: not drawn
    const at = row * width + column, solid = mask.solidSteps, soft = mask.softSteps, alphas = mask.softAlpha;
    for (let k = 0; k < solid.length; k++) pixels[at + solid[k]] = colour;
    for (let k = 0; k < soft.length; k++) this.blend(at + soft[k], colour, alphas[k]);
  }

  blend(at, colour, k) {
    const under = this.pixels[at], rest = 1 - k;
    this.pixels[at] = ((255 << 24) | ((((colour >> 16) & 255) * k + ((under >> 16) & 255) * rest) << 16)
      | ((((colour >> 8) & 255) * k + ((under >> 8) & 255) * rest) << 8) | ((colour & 255) * k + (under & 255) * rest)) >>> 0;
  }
}

// A palette of 256 colours: of words one each, of numbers a scale in 64 steps; the last one is for those without a value.
// faded: the same colours of what is not selected, mixed with the paper beforehand.
function paletteOf(colour, dark, paper) {
  const tone = (pair) => packed(parse(pair[dark ? 1 : 0]));
  const colours = new Uint32Array(256).fill(tone(colour.missing));
  const shapes = new Array(256).fill("circle");
  if (colour.kind === "words") colour.names.forEach((each, place) => { colours[place] = tone(each.colour); shapes[place] = each.symbol; });
  else if (colour.kind === "number") {
    for (let step = 0; step < 64; step++) {
      const share = step / 63;
      let place = 1;
      while (place < colour.stops.length - 1 && share > colour.stops[place][0]) place++;
      const [low, first] = colour.stops[place - 1], [high, second] = colour.stops[place];
      const k = (share - low) / (high - low || 1);
      const one = parse(first[dark ? 1 : 0]), two = parse(second[dark ? 1 : 0]);
      colours[step] = packed(one.map((value, channel) => Math.round(value + k * (two[channel] - value))));
    }
  } else colours[0] = tone(colour.plain);
  const ground = parse(paper);
  const faded = colours.map((tone) => packed([0, 8, 16].map((shift, channel) => Math.round(0.22 * ((tone >> shift) & 255) + 0.78 * ground[channel]))));
  return { colours, faded, shapes };
}
