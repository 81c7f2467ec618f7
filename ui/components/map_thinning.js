// Which faces of a crowded map are shown as pictures: a sample in which no two overlap. Magnifying only ever adds faces to it,
// and moving changes nothing, so that no picture flickers.

class Thinning {
  // places: Float32 x, y of count points; gap: pixels between two pictures' middles, at least, in one direction;
  // scale: pixels a unit at level 0. Each level is magnified by the root of two more.
  constructor(places, count, gap, scale) {
    Object.assign(this, { places, count, gap, scale, done: -Infinity });
    this.since = new Int8Array(count).fill(127); // the level from which a face is shown
    this.order = Uint32Array.from({ length: count }, (_, i) => i);
    for (let i = count - 1, state = 1; i > 0; i--) { // the same shuffle every time: a set's neighbours are often made alike
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      const j = state % (i + 1);
      [this.order[i], this.order[j]] = [this.order[j], this.order[i]];
    }
  }

  level(scale) { return Math.max(-8, Math.min(100, Math.floor(2 * Math.log2(scale / this.scale) + 1e-6))); }

  // The level of this scale, worked out where it is not yet: a face is shown where since[i] <= level.
  reach(scale) {
    const level = this.level(scale);
    if (this.done === -Infinity) this.done = -9;
    while (this.done < level && this.left !== 0) this.add(++this.done);
    return level;
  }

  add(level) {
    const { places, since, count } = this, side = this.gap / (this.scale * 2 ** (level / 2));
    const cells = new Map(), rows = 2 ** 25;
    const key = (column, row) => column * rows + row;
    const free = (x, y, column, row) => {
      if (cells.has(key(column, row))) return false;
      for (let a = -1; a <= 1; a++) for (let b = -1; b <= 1; b++) {
        const other = cells.get(key(column + a, row + b));
        if (other !== undefined && Math.abs(places[2 * other] - x) < side && Math.abs(places[2 * other + 1] - y) < side) return false;
      }
      return true;
    };
    const take = (i, column, row) => cells.set(key(column, row), i); // two that do not overlap never share a cell
    for (let i = 0; i < count; i++) {
      if (since[i] < level) take(i, Math.floor(places[2 * i] / side), Math.floor(places[2 * i + 1] / side));
    }
    this.left = 0;
    for (const i of this.order) {
      const x = places[2 * i], y = places[2 * i + 1];
      if (since[i] < level || Number.isNaN(x) || Number.isNaN(y)) continue;
      const column = Math.floor(x / side), row = Math.floor(y / side);
      if (free(x, y, column, row)) { since[i] = level; take(i, column, row); } else this.left++;
    }
  }
}
