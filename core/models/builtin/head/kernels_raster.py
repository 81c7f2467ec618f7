"""Compiled loops over triangles and whole images: depth buffers, blurs, occlusion, the last steps to bytes."""

import math

import numpy as np
from numpy.typing import NDArray

from core.models.builtin.head.compiled import kernel
from core.models.builtin.head.kernels_geometry import round_down

Floats = NDArray[np.float32]
Integers = NDArray[np.int32]
Bytes = NDArray[np.uint8]
f4 = np.float32
ZERO, HALF, ONE = f4(0), f4(0.5), f4(1)
QUARTER = f4(0.25)
MINIMUM_AREA = f4(1e-7)
NO_HAIR = f4(4)  # depth along the light where no strand lies


@kernel
def corners_of(quads: Integers, triangle: int) -> tuple[int, int, int]:
    """Vertices of a triangle: two triangles a quad, 2 q and 2 q + 1."""
    q = triangle >> 1
    if triangle & 1:
        return quads[q, 0], quads[q, 2], quads[q, 3]
    return quads[q, 0], quads[q, 1], quads[q, 2]


@kernel
def bound_triangle(ax: f4, ay: f4, bx: f4, by: f4, cx: f4, cy: f4, width: int, height: int) -> tuple[int, int, int, int]:
    """First and last column, first and last row of the samples whose middles a triangle may cover; last < first for none."""
    x0 = max(0, -round_down(HALF - min(ax, bx, cx)))
    x1 = min(width - 1, round_down(max(ax, bx, cx) - HALF))
    y0 = max(0, -round_down(HALF - min(ay, by, cy)))
    y1 = min(height - 1, round_down(max(ay, by, cy) - HALF))
    return x0, x1, y0, y1


@kernel
def weigh_corners(ax: f4, ay: f4, bx: f4, by: f4, cx: f4, cy: f4, area: f4, x0: int, y0: int) -> tuple[f4, f4, f4, f4, f4, f4]:
    """The first two barycentric weights, which are linear over the samples: each k at the middle of sample (x0, y0), then what a
    column (g) and a row (h) add. area: twice the signed area."""
    inverse = ONE / area
    fx = f4(x0) + HALF
    fy = f4(y0) + HALF
    k0 = ((bx - fx) * (cy - fy) - (cx - fx) * (by - fy)) * inverse
    k1 = ((cx - fx) * (ay - fy) - (ax - fx) * (cy - fy)) * inverse
    return k0, (by - cy) * inverse, (cx - bx) * inverse, k1, (cy - ay) * inverse, (ax - cx) * inverse


@kernel
def rasterise_quads(
    points: Floats,
    quads: Integers,
    depth: Floats,
    ids: Integers,
    weights: Floats,
    base: int,
    through_mouth: bool,
    inside_mouth: Floats,
    skin_quads: Integers,
) -> None:
    """Draw quads into the depth buffer; back faces are dropped.

    ids gets base + triangle number, weights (H, W, 2) the first two barycentric weights. through_mouth: draw only where the skin
    now seen lies inside the mouth; such parts beat the mouth's own wall, whatever its depth.
    """
    height, width = depth.shape
    for t in range(2 * len(quads)):
        a, b, c = corners_of(quads, t)
        ax = points[a, 0]
        ay = points[a, 1]
        bx = points[b, 0]
        by = points[b, 1]
        cx = points[c, 0]
        cy = points[c, 1]
        area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        if area >= -MINIMUM_AREA:
            continue
        x0, x1, y0, y1 = bound_triangle(ax, ay, bx, by, cx, cy, width, height)
        if x1 < x0 or y1 < y0:
            continue
        za = points[a, 2]
        zb = points[b, 2]
        zc = points[c, 2]
        k0, g0, h0, k1, g1, h1 = weigh_corners(ax, ay, bx, by, cx, cy, area, x0, y0)
        for y in range(y0, y1 + 1):
            dy = f4(y - y0)
            r0 = k0 + h0 * dy
            r1 = k1 + h1 * dy
            for x in range(x0, x1 + 1):
                dx = f4(x - x0)
                w0 = r0 + g0 * dx
                w1 = r1 + g1 * dx
                w2 = ONE - w0 - w1
                if min(w0, w1, w2) < f4(-1e-5):
                    continue
                z = w0 * za + w1 * zb + w2 * zc
                if through_mouth:
                    seen = ids[y, x]
                    if seen < 0:
                        continue
                    if seen < base:
                        if (seen >> 1) >= len(skin_quads):
                            continue
                        i, j, k = corners_of(skin_quads, seen)
                        u = weights[y, x, 0]
                        v = weights[y, x, 1]
                        if inside_mouth[i] * u + inside_mouth[j] * v + inside_mouth[k] * (ONE - u - v) < HALF:
                            continue
                    elif z >= depth[y, x]:
                        continue
                elif z >= depth[y, x]:
                    continue
                depth[y, x] = z
                ids[y, x] = base + t
                weights[y, x, 0] = w0
                weights[y, x, 1] = w1


@kernel
def rasterise_depth(points: Floats, quads: Integers, depth: Floats) -> None:
    """Draw quads into the depth buffer alone, both sides (shadow map)."""
    height, width = depth.shape
    for t in range(2 * len(quads)):
        a, b, c = corners_of(quads, t)
        ax = points[a, 0]
        ay = points[a, 1]
        bx = points[b, 0]
        by = points[b, 1]
        cx = points[c, 0]
        cy = points[c, 1]
        x0, x1, y0, y1 = bound_triangle(ax, ay, bx, by, cx, cy, width, height)
        if x1 < x0 or y1 < y0:
            continue
        area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        if abs(area) < MINIMUM_AREA:
            continue
        # Depth is as linear over the map as the weights are.
        k0, g0, h0, k1, g1, h1 = weigh_corners(ax, ay, bx, by, cx, cy, area, x0, y0)
        zc = points[c, 2]
        za = points[a, 2] - zc
        zb = points[b, 2] - zc
        for y in range(y0, y1 + 1):
            dy = f4(y - y0)
            r0 = k0 + h0 * dy
            r1 = k1 + h1 * dy
            for x in range(x0, x1 + 1):
                dx = f4(x - x0)
                w0 = r0 + g0 * dx
                w1 = r1 + g1 * dx
                if min(w0, w1, ONE - w0 - w1) >= f4(-1e-6):
                    depth[y, x] = min(depth[y, x], zc + w0 * za + w1 * zb)


@kernel
def blur_box(source: Floats, target: Floats, radius: int) -> None:
    """Mean over a square of side 2 radius + 1, by running sums; edges are repeated. source and target may be the same."""
    height, width = source.shape
    rows = np.empty_like(source)
    k = ONE / f4(2 * radius + 1)
    for y in range(height):
        total = ZERO
        for i in range(-radius, radius + 1):
            total += source[y, min(width - 1, max(0, i))]
        for x in range(width):
            rows[y, x] = total * k
            total += source[y, min(width - 1, x + radius + 1)] - source[y, max(0, x - radius)]
    column = np.zeros(width, np.float32)
    for i in range(-radius, radius + 1):
        j = min(height - 1, max(0, i))
        for x in range(width):
            column[x] += rows[j, x]
    for y in range(height):
        entering = min(height - 1, y + radius + 1)
        leaving = max(0, y - radius)
        for x in range(width):
            target[y, x] = column[x] * k
            column[x] += rows[entering, x] - rows[leaving, x]


@kernel
def measure_occlusion(depth: Floats, far: f4, scale: f4) -> Floats:
    """Ambient occlusion (1 open .. 0) per pixel: depth of the 2 x 2 samples minus its blur, at three scales."""
    size = depth.shape[0] // 2
    z = np.empty((size, size), np.float32)
    blurred = np.empty_like(z)
    smooth = np.empty_like(z)
    open_sky = np.ones((size, size), np.float32)
    for y in range(size):
        for x in range(size):
            total = ZERO
            for j in range(2):
                for i in range(2):
                    total += min(depth[2 * y + j, 2 * x + i], far)
            z[y, x] = total * QUARTER
    for q in range(3):
        radius = max(1, round((2.0, 5.0, 12.0)[q] * scale))
        strength = f4((9.0, 4.0, 1.6)[q])
        blur_box(z, blurred, radius)
        blur_box(blurred, smooth, radius)
        for y in range(size):
            for x in range(size):
                open_sky[y, x] *= math.exp(-min(QUARTER, max(ZERO, z[y, x] - smooth[y, x])) * strength)
    return open_sky


@kernel
def blur_skin_light(source: Floats, weight: Floats, sigma: Floats) -> Floats:
    """Gaussian blur of the light on skin (3, H, W), one width per channel in pixels, over skin pixels only.

    Stands for light that wanders below the skin, red furthest: blurred (value x weight) / blurred weight.
    """
    height, width = weight.shape
    reach = 40
    out = np.empty_like(source)
    padded = np.zeros((2, width + 2 * reach), np.float32)
    line = np.empty((2, width), np.float32)
    values = np.zeros((height, width), np.float32)
    weights = np.zeros((height, width), np.float32)
    gauss = np.zeros(reach, np.float32)
    for c in range(3):
        r = min(reach - 1, math.ceil(sigma[c] * f4(2.5)))
        total = ZERO
        for i in range(r + 1):
            u = f4(i) / sigma[c]
            gauss[i] = math.exp(f4(-0.5) * u * u)
            total += gauss[i] * f4(1 if i == 0 else 2)
        for i in range(r + 1):
            gauss[i] /= total
        for y in range(height):
            for x in range(width):
                w = min(ONE, weight[y, x])
                padded[0, reach + x] = source[c, y, x] * w
                padded[1, reach + x] = w
                values[y, x] = ZERO
                weights[y, x] = ZERO
            for i in range(-r, r + 1):
                k = gauss[abs(i)]
                for x in range(width):
                    values[y, x] += k * padded[0, reach + x + i]
                    weights[y, x] += k * padded[1, reach + x + i]
        for y in range(height):
            for x in range(width):
                line[0, x] = ZERO
                line[1, x] = ZERO
            for j in range(max(-r, -y), min(r, height - 1 - y) + 1):
                k = gauss[abs(j)]
                for x in range(width):
                    line[0, x] += k * values[y + j, x]
                    line[1, x] += k * weights[y + j, x]
            for x in range(width):
                out[c, y, x] = line[0, x] / (line[1, x] + f4(1e-6))
    return out


@kernel
def spread_nearest(depth: Floats, radius: int) -> Floats:
    """Depth of the nearest hair along the light: minimum over a square, then a blur over the covered cells; NO_HAIR elsewhere."""
    height, width = depth.shape
    rows = np.empty_like(depth)
    out = np.empty_like(depth)
    for y in range(height):
        for x in range(width):
            rows[y, x] = min(NO_HAIR, depth[y, x])
        for i in range(1, radius + 1):
            for x in range(i, width):
                rows[y, x] = min(rows[y, x], depth[y, x - i])
            for x in range(width - i):
                rows[y, x] = min(rows[y, x], depth[y, x + i])
    for y in range(height):
        for x in range(width):
            out[y, x] = rows[y, x]
        for j in range(max(0, y - radius), min(height, y + radius + 1)):
            for x in range(width):
                out[y, x] = min(out[y, x], rows[j, x])
    covered = np.empty_like(depth)
    buffer = np.empty_like(depth)
    for y in range(height):
        for x in range(width):
            hair = out[y, x] < NO_HAIR
            rows[y, x] = out[y, x] if hair else ZERO
            covered[y, x] = ONE if hair else ZERO
    blur_box(rows, buffer, 3)
    blur_box(buffer, rows, 2)
    blur_box(covered, buffer, 3)
    blur_box(buffer, covered, 2)
    for y in range(height):
        for x in range(width):
            out[y, x] = rows[y, x] / covered[y, x] if covered[y, x] > f4(0.004) else NO_HAIR
    return out


@kernel
def compose_samples(
    ids: Integers,
    skin_triangles: int,
    albedo: Floats,
    gloss: Floats,
    light: Floats,
    blurred: Floats,
    weight: Floats,
    detail: f4,
    whole: Bytes,
    image: Floats,
) -> None:
    """Colour of every sample: albedo x light + gloss; skin takes the blurred light and the share `detail` of its own.

    Where `whole` is set the pixel was shaded once, in its last sample, and the other three take that colour.
    """
    height, width = weight.shape
    for py in range(height):
        for px in range(width):
            for s in range(3, -1, -1):
                y = 2 * py + (s >> 1)
                x = 2 * px + (s & 1)
                skin = ids[y, x] >= 0 and ids[y, x] < skin_triangles and weight[py, px] > 0
                for c in range(3):
                    e = light[y, x, c]
                    if skin:
                        e = max(ZERO, blurred[c, py, px] + detail * (e - blurred[c, py, px]))
                    image[y, x, c] = albedo[y, x, c] * e + gloss[y, x, c]
                if whole[py, px]:
                    for c in range(3):
                        v = image[y, x, c]
                        image[y - 1, x - 1, c] = v
                        image[y - 1, x, c] = v
                        image[y, x - 1, c] = v
                    break


@kernel
def lay_over(layer: Floats, cover: Floats, layer_depth: Floats, image: Floats, depth: Floats) -> None:
    """Lay the premultiplied hair layer over the image, in place; where it covers well its depth counts from here on."""
    for y in range(cover.shape[0]):
        for x in range(cover.shape[1]):
            a = cover[y, x]
            if a > 0:
                for c in range(3):
                    image[y, x, c] = layer[y, x, c] + (ONE - a) * image[y, x, c]
                if a > f4(0.5):
                    depth[y, x] = min(depth[y, x], layer_depth[y, x])


@kernel
def resolve_bytes(image: Floats, exposure: f4, curve: Floats, srgb: Bytes, out: Bytes) -> None:
    """Mean of 2 x 2 samples, exposure, tone curve and sRGB by tables: bytes (size, size, 3).

    curve: tone-mapped light of v at index 2048 sqrt(v); srgb: byte of v at index 2048 sqrt(v). Half of the curve is applied to the
    luminance alone, so that bright skin keeps its hue.
    """
    size = out.shape[0]
    last = len(curve) - 1
    last_byte = len(srgb) - 1
    v = np.empty(3, np.float32)
    for y in range(size):
        for x in range(size):
            for c in range(3):
                total = (
                    image[2 * y, 2 * x, c]
                    + image[2 * y, 2 * x + 1, c]
                    + image[2 * y + 1, 2 * x, c]
                    + image[2 * y + 1, 2 * x + 1, c]
                )
                v[c] = min(f4(1e4), max(ZERO, total * QUARTER * exposure))
            luminance = f4(0.30) * v[0] + f4(0.55) * v[1] + f4(0.15) * v[2] + f4(1e-6)
            gain = curve[min(last, int(math.sqrt(luminance) * f4(2048)))] / luminance
            for c in range(3):
                alone = curve[min(last, int(math.sqrt(v[c]) * f4(2048)))]
                mixed = HALF * (alone + v[c] * gain)
                out[y, x, c] = srgb[min(last_byte, int(math.sqrt(mixed) * f4(2048) + HALF))]
