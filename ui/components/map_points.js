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

function maskOf(shape, radius) {
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
  return { alpha, side, half: middle };
}

const parse = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
const packed = ([red, green, blue]) => ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;

class Stamps {
  // pixels: Uint32 view of an ImageData of width x height
  constructor(pixels, width, height) { Object.assign(this, { pixels, width, height }); }

  clear(colour) { this.pixels.fill(packed(parse(colour))); }

  stamp(mask, x, y, colour, strength) {
    const { pixels, width, height } = this, { alpha, side, half } = mask;
    const left = Math.round(x) - half, top = Math.round(y) - half;
    const red = colour & 255, green = (colour >> 8) & 255, blue = (colour >> 16) & 255;
    const rowFrom = Math.max(0, -top), rowTo = Math.min(side, height - top);
    const from = Math.max(0, -left), to = Math.min(side, width - left);
    for (let row = rowFrom; row < rowTo; row++) {
      let at = (top + row) * width + left + from, of = row * side + from;
      for (let column = from; column < to; column++, at++, of++) {
        const a = alpha[of] * strength;
        if (a >= 250) pixels[at] = colour;
        else if (a > 3) {
          const under = pixels[at], k = a / 255, rest = 1 - k;
          pixels[at] = ((255 << 24) | ((blue * k + ((under >> 16) & 255) * rest) << 16)
            | ((green * k + ((under >> 8) & 255) * rest) << 8) | (red * k + (under & 255) * rest)) >>> 0;
        }
      }
    }
  }
}

// A palette of 256 colours: of words one each, of numbers a scale in 64 steps; the last one is for those without a value.
function paletteOf(colour, dark) {
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
  return { colours, shapes };
}
