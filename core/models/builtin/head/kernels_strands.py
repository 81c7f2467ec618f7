"""Compiled loops over strands: places them on a head, lights them and draws them. Hair, beard, brows and lashes are strands."""

import math

import numpy as np
from numpy.typing import NDArray

from core.models.builtin.head.compiled import kernel
from core.models.builtin.head.kernels_geometry import interpolate_cage, round_down, smoothstep

Floats = NDArray[np.float32]
Integers = NDArray[np.int32]
f4 = np.float32
ZERO, HALF, ONE = f4(0), f4(0.5), f4(1)


@kernel
def measure_hat_cover(y: f4, z: f4, hem: Floats) -> f4:
    """How far a place of the rest head lies under the cap, 0..1. hem: height at z = 0, slope along z, softness, opacity, press."""
    cover: f4 = hem[3] * smoothstep(-hem[2], hem[2], y - hem[0] - hem[1] * z + f4(0.05))
    return cover


@kernel
def place_strands(
    strands: Floats,
    chosen: Integers,
    length: Floats,
    count: int,
    cage: Floats,
    cage_low: Floats,
    cage_step: f4,
    cage_shape: Integers,
    triangles: Integers,
    corners: Floats,
    vertices: Floats,
    rest: Floats,
    rooted: bool,
    shape: Floats,
    phase: Floats,
    hem: Floats,
    rotation: Floats,
    pivot: Floats,
    centre: Floats,
    first: int,
    out: Floats,
    shown: Floats,
) -> None:
    """Cut, puff, curl and place the chosen strands (n, P, 3) into out[first:] (N, K, 3), `count` points each.

    length in (0, 1] per chosen strand: share of the strand that is left. shape: volume (dm), radius and frequency of curls.
    rooted: the strand follows its root on the skin (vertices against rest), else the cage. shown[i, p] is 1, or less under a cap.
    """
    n_points = strands.shape[1]
    volume = shape[0]
    curl = shape[1]
    frequency = shape[2]
    one_step = ONE / f4(count - 1)
    xs = np.empty(count, np.float32)
    ys = np.empty(count, np.float32)
    zs = np.empty(count, np.float32)
    aways = np.empty(count, np.float32)
    for a in range(len(chosen)):
        s = chosen[a]
        o = first + a
        stride = length[a] * f4(n_points - 1) * one_step
        rx = strands[s, 0, 0]
        ry = strands[s, 0, 1]
        rz = strands[s, 0, 2]
        dx = dy = dz = ZERO
        if rooted:
            for j in range(3):
                i = triangles[s, j]
                dx += corners[s, j] * (vertices[i, 0] - rest[i, 0])
                dy += corners[s, j] * (vertices[i, 1] - rest[i, 1])
                dz += corners[s, j] * (vertices[i, 2] - rest[i, 2])
        # Step by step over the points rather than point by point: a processor overlaps the roots and divisions of several points.
        for p in range(count):
            t = f4(p) * stride
            i = min(n_points - 2, int(t))
            f = t - f4(i)
            xs[p] = strands[s, i, 0] * (ONE - f) + strands[s, i + 1, 0] * f
            ys[p] = strands[s, i, 1] * (ONE - f) + strands[s, i + 1, 1] * f
            zs[p] = strands[s, i, 2] * (ONE - f) + strands[s, i + 1, 2] * f
        for p in range(count):
            aways[p] = math.sqrt((xs[p] - rx) ** 2 + (ys[p] - ry) ** 2 + (zs[p] - rz) ** 2)
        if curl > 0:
            for p in range(count):
                c = curl * min(ONE, aways[p] * f4(3))
                angle = aways[p] * frequency + phase[s]
                xs[p] += c * math.cos(angle)
                zs[p] += c * math.sin(angle)
                ys[p] += c * HALF * math.sin(angle * f4(0.9) + ONE)
        if volume != 0:
            for p in range(count):
                along = f4(p) * one_step
                ux = xs[p] - centre[0]
                uy = ys[p] - centre[1]
                uz = zs[p] - centre[2]
                size = math.sqrt(ux * ux + uy * uy + uz * uz) + f4(1e-6)
                q = volume * min(ONE, along * f4(3)) / size * min(ONE, aways[p] * f4(4))
                xs[p] += ux * q
                ys[p] += max(uy, ZERO) * q
                zs[p] += uz * q
        for p in range(count):
            shown[o, p] = ONE
        if hem[3] > 0:
            for p in range(count):
                x = xs[p]
                z = zs[p]
                shown[o, p] = ONE - measure_hat_cover(ys[p], z, hem)
                # a cap presses the hair below its hem towards the head, an ellipse about its axis
                below = hem[0] + hem[1] * z - ys[p]
                wide = math.sqrt((x / f4(0.80)) ** 2 + ((z - f4(0.40)) / f4(1.14)) ** 2)
                if wide > ONE:
                    press = hem[4] * smoothstep(f4(0.95), ZERO, below)
                    k = (ONE + (wide - ONE) * (ONE - f4(0.85) * press)) / wide
                    xs[p] = x * k
                    zs[p] = f4(0.40) + (z - f4(0.40)) * k
        for p in range(count):
            if rooted:
                xs[p] += dx
                ys[p] += dy
                zs[p] += dz
            else:
                gx, gy, gz = interpolate_cage(cage, cage_low, cage_step, cage_shape, xs[p], ys[p], zs[p])
                xs[p] += gx
                ys[p] += gy
                zs[p] += gz
        for p in range(count):
            w = smoothstep(f4(5.5), f4(6.5), ys[p])
            px = xs[p] - pivot[0]
            py = ys[p] - pivot[1]
            pz = zs[p] - pivot[2]
            out[o, p, 0] = xs[p] + w * (rotation[0, 0] * px + rotation[0, 1] * py + rotation[0, 2] * pz - px)
            out[o, p, 1] = ys[p] + w * (rotation[1, 0] * px + rotation[1, 1] * py + rotation[1, 2] * pz - py)
            out[o, p, 2] = zs[p] + w * (rotation[2, 0] * px + rotation[2, 1] * py + rotation[2, 2] * pz - pz)


@kernel
def splat_density(
    points: Floats,
    counts: Integers,
    shown: Floats,
    alpha: Floats,
    centre: Floats,
    axes: Floats,
    half: f4,
    scale: f4,
    strength: f4,
    density: Floats,
    nearest: Floats,
) -> None:
    """Add strands (n, K, 3) to the light's map: hair density, and the depth of the nearest strand.

    A segment is a row of points not more than two texels apart, so that single strands throw lines and no dots.
    """
    height, width = density.shape
    for n in range(points.shape[0]):
        last_u = last_v = last_d = ZERO
        for i in range(counts[n]):
            x = points[n, i, 0] - centre[0]
            y = points[n, i, 1] - centre[1]
            z = points[n, i, 2] - centre[2]
            u = half + (axes[0, 0] * x + axes[0, 1] * y + axes[0, 2] * z) * scale
            v = half - (axes[1, 0] * x + axes[1, 1] * y + axes[1, 2] * z) * scale
            d = axes[2, 0] * x + axes[2, 1] * y + axes[2, 2] * z
            if shown[n, i] >= f4(0.02):
                steps = 1
                if i > 0:
                    steps = min(8, 1 + int(min(f4(16), max(abs(u - last_u), abs(v - last_v))) * HALF))
                share = strength * alpha[n] * shown[n, i] * f4(16) / (f4(counts[n]) * f4(steps))
                for k in range(steps):
                    t = f4(k) / f4(steps)
                    column = int(u + (last_u - u) * t)
                    row = int(v + (last_v - v) * t)
                    if column >= 0 and column < width and row >= 0 and row < height:
                        density[row, column] += share
                        nearest[row, column] = min(nearest[row, column], d + (last_d - d) * t)
            last_u = u
            last_v = v
            last_d = d


@kernel
def is_seen(screen: Floats, count: int, depth: Floats, bias: f4) -> bool:
    """Whether one of five points of a strand (count, 3) lies in the picture and not behind what is drawn."""
    height, width = depth.shape
    for q in range(0, count, max(1, (count - 1) // 4)):
        x = int(screen[q, 0])
        y = int(screen[q, 1])
        if x >= 0 and x < width and y >= 0 and y < height and screen[q, 2] < depth[y, x] + bias:
            return True
    return False


@kernel
def find_seen(screen: Floats, counts: Integers, depth: Floats, bias: f4) -> Integers:
    """Numbers of the strands that are seen, in the order of memory: sorted by depth, each would be fetched from afar."""
    seen = np.empty(len(counts), np.int32)
    total = 0
    for i in range(len(counts)):
        if is_seen(screen[i], counts[i], depth, bias):
            seen[total] = i
            total += 1
    return seen[:total]


@kernel
def draw_strands(
    points: Floats,
    screen: Floats,
    counts: Integers,
    order: Integers,
    shown: Floats,
    alpha: Floats,
    tone: Floats,
    thickness: Floats,
    colours: Floats,
    style: Floats,
    lights: Floats,
    light_colours: Floats,
    ambient: Floats,
    camera: Floats,
    light_centre: Floats,
    light_axes: Floats,
    light_half: f4,
    light_scale: f4,
    nearest: Floats,
    shadow_map: Floats,
    front_to_back: bool,
    image: Floats,
    depth: Floats,
    cover: Floats,
    layer_depth: Floats,
) -> None:
    """Draw strands: world points (n, K, 3), screen points (n, K, 3), counts[i] points and colours[i] each, with two highlights a
    strand.

    style: width in samples, depth bias, opacity, self shadow, gloss, opacity from which depth is written. tone 0..1 shades a strand
    darker or lighter. front_to_back: order holds those that find_seen found, nearest first, and image is a premultiplied layer with
    its cover (0 at first), where what is covered is skipped; else strands go straight over the image.
    """
    height, width = depth.shape
    light_height, light_width = nearest.shape
    thick, bias, opacity, self_shadow, gloss, writes = style[0], style[1], style[2], style[3], style[4], style[5]
    full = f4(0.95)
    for oi in range(len(order)):
        i = order[oi]
        n = counts[i]
        shade = f4(0.72) + f4(0.56) * tone[i]
        if not front_to_back and not is_seen(screen[i], n, depth, bias):
            continue
        for k in range(n - 1):
            seen = HALF * (shown[i, k] + shown[i, k + 1]) * alpha[i]
            if seen < f4(0.01):
                continue
            x0 = screen[i, k, 0]
            y0 = screen[i, k, 1]
            x1 = screen[i, k + 1, 0]
            y1 = screen[i, k + 1, 1]
            dx = x1 - x0
            dy = y1 - y0
            steps = max(abs(dx), abs(dy))
            if max(x0, x1) < 0 or max(y0, y1) < 0 or min(x0, x1) >= width or min(y0, y1) >= height:
                continue
            if not steps < f4(2 * width):  # torn by impossible shapes
                continue
            if front_to_back:
                ia = min(width - 1, max(0, int(x0)))
                ja = min(height - 1, max(0, int(y0)))
                ie = min(width - 1, max(0, int(x1)))
                je = min(height - 1, max(0, int(y1)))
                ih = (ia + ie) >> 1
                jh = (ja + je) >> 1
                if (
                    (cover[ja, ia] > full or screen[i, k, 2] > depth[ja, ia] + bias)
                    and (cover[je, ie] > full or screen[i, k + 1, 2] > depth[je, ie] + bias)
                    and (cover[jh, ih] > full or screen[i, k, 2] > depth[jh, ih] + bias)
                ):
                    continue
            s = (f4(k) + HALF) / f4(n - 1)
            wide = thick * (f4(1.05) - f4(0.7) * s * s) * thickness[i]
            px = points[i, k, 0]
            py = points[i, k, 1]
            pz = points[i, k, 2]
            tx = points[i, k + 1, 0] - px
            ty = points[i, k + 1, 1] - py
            tz = points[i, k + 1, 2] - pz
            inverse = ONE / (math.sqrt(tx * tx + ty * ty + tz * tz) + f4(1e-9))
            tx *= inverse
            ty *= inverse
            tz *= inverse
            vx = camera[0] - px
            vy = camera[1] - py
            vz = camera[2] - pz
            inverse = ONE / math.sqrt(vx * vx + vy * vy + vz * vz)
            tv = (tx * vx + ty * vy + tz * vz) * inverse
            sv = math.sqrt(max(ZERO, ONE - tv * tv))
            lx = px - light_centre[0]
            ly = py - light_centre[1]
            lz = pz - light_centre[2]
            lit = ONE
            root = ONE
            if self_shadow > 0:
                u = int(light_half + (light_axes[0, 0] * lx + light_axes[0, 1] * ly + light_axes[0, 2] * lz) * light_scale)
                v = int(light_half - (light_axes[1, 0] * lx + light_axes[1, 1] * ly + light_axes[1, 2] * lz) * light_scale)
                if u >= 0 and v >= 0 and u < light_width and v < light_height:
                    d = light_axes[2, 0] * lx + light_axes[2, 1] * ly + light_axes[2, 2] * lz
                    lit = f4(math.exp(-self_shadow * max(ZERO, d - nearest[v, u] - f4(0.02))))
                    if d > shadow_map[v, u] + f4(0.10):
                        lit *= f4(0.15)  # in the head's shadow
                root = f4(0.60) + f4(0.40) * min(ONE, s * f4(2.2))
                root *= f4(0.45) + f4(0.55) * smoothstep(f4(5.7), f4(7.1), py)
            red = ambient[0] * colours[i, 0] * shade
            green = ambient[1] * colours[i, 1] * shade
            blue = ambient[2] * colours[i, 2] * shade
            # The outward direction of the hair mass stands in for a surface normal: it shades the volume and gates the gloss.
            mx = lx
            my = max(ZERO, ly - f4(0.2))
            mz = lz + f4(1.05)
            inverse = ONE / (math.sqrt(mx * mx + my * my + mz * mz) + f4(1e-6))
            mx *= inverse
            my *= inverse
            mz *= inverse
            for q in range(3):
                facing = ONE
                if self_shadow > 0:
                    facing = mx * lights[q, 0] + my * lights[q, 1] + mz * lights[q, 2]
                    facing = min(ONE, max(ZERO, f4(0.25) + f4(0.85) * facing))
                w = lit if q == 0 else f4(0.8) if q == 1 else f4(0.55) * smoothstep(f4(6.6), f4(7.6), py)
                w *= facing
                tl = tx * lights[q, 0] + ty * lights[q, 1] + tz * lights[q, 2]
                sl = math.sqrt(max(ZERO, ONE - tl * tl))
                diffuse = f4(0.60) * sl * w
                shine = gloss * w * facing * (ONE if q == 0 else f4(0.25) if q == 1 else f4(0.6))
                # First highlight: of the light's colour, sharp. Second: of the hair's colour, wider, shifted to the root.
                e = max(ZERO, sl * sv - tl * tv)
                e *= e
                e *= e
                e *= e
                e *= e
                first = f4(0.55) * e * e * shine
                e = max(ZERO, sl * sv - (tl + f4(0.14)) * tv - f4(0.03))
                e *= e
                e *= e
                e *= e
                second = f4(1.6) * e * shine * shade
                red += light_colours[q, 0] * (diffuse * colours[i, 0] * shade + first + second * colours[i, 0])
                green += light_colours[q, 1] * (diffuse * colours[i, 1] * shade + first + second * colours[i, 1])
                blue += light_colours[q, 2] * (diffuse * colours[i, 2] * shade + first + second * colours[i, 2])
            red *= root
            green *= root
            blue *= root
            # ---- samples along the segment; thinner than a sample: as wide as one, and fainter
            half_width = wide * HALF
            opaque = opacity * seen
            if half_width < HALF:
                opaque *= max(f4(0.22), half_width * f4(2))
                half_width = HALF
            vary = f4(0.34) * smoothstep(f4(0.55), f4(1.6), half_width) if front_to_back else ZERO
            grain = f4(0.85) / max(half_width, f4(0.7))
            ripple = tone[i] * f4(37) + s * f4(0.6)
            m = int(steps) + 1
            step = ONE / f4(m)
            steep = abs(dx) <= abs(dy)
            for j in range(m):
                share = (f4(j) + HALF) * step
                sx = x0 + dx * share
                sy = y0 + dy * share
                z = screen[i, k, 2] + (screen[i, k + 1, 2] - screen[i, k, 2]) * share
                across = sx if steep else sy
                for t in range(round_down(across - half_width), round_down(across + half_width) + 1):
                    xx = t if steep else round_down(sx)
                    yy = round_down(sy) if steep else t
                    if xx < 0 or yy < 0 or xx >= width or yy >= height or z >= depth[yy, xx] + bias:
                        continue
                    if front_to_back and cover[yy, xx] > f4(0.97):
                        continue
                    share = min(across + half_width, f4(t + 1)) - max(across - half_width, f4(t))
                    share = min(ONE, max(ZERO, share)) * opaque
                    if front_to_back:
                        share *= ONE - cover[yy, xx]
                        if share < f4(0.004):
                            continue
                        # a wide strand is a lock of hairs: lighter and darker ones side by side
                        lock = (f4(t) + HALF - across) * grain + ripple
                        lock -= f4(round_down(lock))
                        bright = ONE + vary * (abs(lock - HALF) * f4(4) - ONE)
                        if cover[yy, xx] < HALF:
                            layer_depth[yy, xx] = z
                        share_lit = share * bright
                        started = cover[yy, xx] > 0  # what the layer holds elsewhere is of an earlier picture
                        image[yy, xx, 0] = (image[yy, xx, 0] if started else ZERO) + red * share_lit
                        image[yy, xx, 1] = (image[yy, xx, 1] if started else ZERO) + green * share_lit
                        image[yy, xx, 2] = (image[yy, xx, 2] if started else ZERO) + blue * share_lit
                        cover[yy, xx] += share
                    else:
                        image[yy, xx, 0] += (red - image[yy, xx, 0]) * share
                        image[yy, xx, 1] += (green - image[yy, xx, 1]) * share
                        image[yy, xx, 2] += (blue - image[yy, xx, 2]) * share
                        if share > writes and z < depth[yy, xx]:
                            depth[yy, xx] = z
