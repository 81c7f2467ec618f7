"""Compiled shading of every sample: shadows, light on skin, eyes and mouth, gloss and reflections."""

import math

import numpy as np
from numpy.typing import NDArray

from core.models.builtin.head.compiled import kernel
from core.models.builtin.head.kernels_geometry import smoothstep
from core.models.builtin.head.kernels_painting import (
    COLLAR,
    INSIDE,
    MOUTH_COLOUR,
    MOUTH_LIGHT,
    P_WRAP,
    SKIN_COLUMNS,
    look_up_room,
    paint_eye,
    paint_skin,
)
from core.models.builtin.head.kernels_raster import corners_of

Floats = NDArray[np.float32]
Integers = NDArray[np.int32]
Bytes = NDArray[np.uint8]
f4 = np.float32
ZERO, HALF, ONE, TWO = f4(0), f4(0.5), f4(1), f4(2)


@kernel
def face_camera(a: Floats, camera: Floats) -> tuple[f4, f4, f4, f4, f4, f4]:
    """Unit normal and unit direction to the camera at a place with attributes a: normal (0-2), place (3-5)."""
    inverse = ONE / (math.sqrt(a[0] * a[0] + a[1] * a[1] + a[2] * a[2]) + f4(1e-9))
    vx = camera[0] - a[3]
    vy = camera[1] - a[4]
    vz = camera[2] - a[5]
    nearness = ONE / math.sqrt(vx * vx + vy * vy + vz * vz)
    return a[0] * inverse, a[1] * inverse, a[2] * inverse, vx * nearness, vy * nearness, vz * nearness


@kernel
def reflect_ggx(nx: f4, ny: f4, nz: f4, vx: f4, vy: f4, vz: f4, lx: f4, ly: f4, lz: f4, alpha: f4) -> f4:
    """Specular reflection of one light: GGX distribution (Walter et al. 2007), Schlick's Fresnel term, a cheap shadowing term.

    n, v, l: unit normal, directions to the camera and to the light. With h = (v + l) / |v + l| and q = |v + l|^2 = 2 + 2 v.l,
    (n.h)^2 = (n.v + n.l)^2 / q and (v.h)^2 = q / 4, so that h itself is not needed.
    """
    nl = nx * lx + ny * ly + nz * lz
    if nl <= 0:
        return ZERO
    nv = nx * vx + ny * vy + nz * vz
    q = max(ZERO, TWO + TWO * (vx * lx + vy * ly + vz * lz))
    along = max(ZERO, nl + nv)
    spread = alpha * alpha
    d = q - along * along * (ONE - spread)
    m = ONE - HALF * math.sqrt(q)
    m2 = m * m
    fresnel = f4(0.028) + f4(0.972) * m2 * m2 * m
    shadowing = max(f4(0.25), (nl + max(ZERO, nv)) * HALF + f4(0.1))
    return spread * q * q * fresnel * nl * f4(0.25) / (f4(3.14159) * d * d * shadowing + f4(1e-12))


@kernel
def measure_strand_shadow(density: Floats, nearest: Floats, u: f4, v: f4, d: f4) -> f4:
    """Light 0..1 that passes what was splatted into the light's map in front of a place; bilinear."""
    i = int(u - HALF)
    j = int(v - HALF)
    size = density.shape[0]
    if i < 0 or j < 0 or i >= size - 1 or j >= size - 1 or d <= nearest[j, i] + f4(0.03):
        return ONE
    fu = u - HALF - f4(i)
    fv = v - HALF - f4(j)
    upper = density[j, i] * (ONE - fu) + density[j, i + 1] * fu
    lower = density[j + 1, i] * (ONE - fu) + density[j + 1, i + 1] * fu
    return f4(math.exp(-(upper * (ONE - fv) + lower * fv) * smoothstep(f4(0.03), f4(0.16), d - nearest[j, i])))


@kernel
def reflect_room(
    nx: f4, ny: f4, nz: f4, vx: f4, vy: f4, vz: f4, lights: Floats, light_colours: Floats, ambient: Floats, size: f4, out: Floats
) -> None:
    """Mirror image of the lights and of a bright upper and dark lower half of a room, on a wet or polished surface: out 0-2.

    size: half the width of the key light in radians; the fill light is seen fainter and wider.
    """
    nv = nx * vx + ny * vy + nz * vz
    rx = TWO * nv * nx - vx
    ry = TWO * nv * ny - vy
    rz = TWO * nv * nz - vz
    m = ONE - max(ZERO, nv)
    m2 = m * m
    fresnel = f4(0.025) + f4(0.6) * m2 * m2 * m
    edge = math.cos(size)
    spot = rx * lights[0, 0] + ry * lights[0, 1] + rz * lights[0, 2]
    key = smoothstep(edge - f4(0.035), edge + f4(0.015), spot)
    spot = rx * lights[1, 0] + ry * lights[1, 1] + rz * lights[1, 2]
    fill = smoothstep(f4(0.86), f4(0.99), spot)
    sky = f4(0.35) + f4(0.65) * smoothstep(f4(-0.1), f4(0.8), ry)
    for c in range(3):
        lamps = f4(0.85) * key * light_colours[0, c] + f4(0.035) * fill * light_colours[1, c]
        out[c] = lamps + f4(1.3) * fresnel * sky * ambient[c]


@kernel
def shade_samples(
    ids: Integers,
    weights: Floats,
    depth: Floats,
    skin_quads: Integers,
    skin_triangles: int,
    eye_quads: Integers,
    eye_triangles: int,
    mouth_quads: Integers,
    skin: Floats,
    eyes: Floats,
    mouth: Floats,
    camera: Floats,
    lights: Floats,
    light_colours: Floats,
    ambient: Floats,
    light_centre: Floats,
    light_axes: Floats,
    light_half: f4,
    light_scale: f4,
    shadow_map: Floats,
    hair_nearest: Floats,
    hair_density: Floats,
    object_nearest: Floats,
    object_density: Floats,
    softness: f4,
    open_sky: Floats,
    noise: Floats,
    wrinkles: Floats,
    wrinkles_low: Floats,
    wrinkles_scale: Floats,
    p: Floats,
    tint: Floats,
    brow: Floats,
    moles: Floats,
    eye: Floats,
    lids: Floats,
    room: Floats,
    cover: Floats,
    albedo: Floats,
    gloss: Floats,
    light: Floats,
    skin_light: Floats,
    skin_weight: Floats,
    whole: Bytes,
) -> None:
    """Shade all samples (H, W): albedo, light and gloss (H, W, 3), the light on skin by pixel (3, H / 2, W / 2) and its weight.

    A pixel whose four samples see the same smooth surface is shaded once, in its last sample, and marked in `whole`. Samples under
    opaque hair (cover) are not shaded. softness: radius of the shadow's edge in texels.
    """
    height, width = ids.shape
    half_width = width >> 1
    last = shadow_map.shape[0]
    a = np.empty(SKIN_COLUMNS, np.float32)
    out = np.zeros(8, np.float32)
    mirror = np.zeros(3, np.float32)
    kx = lights[0, 0]
    ky = lights[0, 1]
    kz = lights[0, 2]
    taps = np.empty((16, 2), np.float32)
    for k in range(16):
        r = math.sqrt((f4(k) + HALF) / f4(16)) * softness
        taps[k, 0] = r * math.cos(f4(2.39996) * f4(k))
        taps[k, 1] = r * math.sin(f4(2.39996) * f4(k))
    for pixel in range((height >> 1) * half_width):
        py = pixel // half_width
        px = pixel - py * half_width
        y = 2 * py
        x = 2 * px
        if min(cover[y, x], cover[y, x + 1], cover[y + 1, x], cover[y + 1, x + 1]) > f4(0.95):
            for c in range(3):
                albedo[y + 1, x + 1, c] = ZERO
                light[y + 1, x + 1, c] = ZERO
                gloss[y + 1, x + 1, c] = ZERO
            whole[py, px] = 1
            continue
        nearest_id = min(ids[y, x], ids[y, x + 1], ids[y + 1, x], ids[y + 1, x + 1])
        farthest_id = max(ids[y, x], ids[y, x + 1], ids[y + 1, x], ids[y + 1, x + 1])
        once = farthest_id < 0
        if nearest_id >= 0 and farthest_id < skin_triangles:
            z0 = depth[y, x]
            z1 = depth[y, x + 1]
            z2 = depth[y + 1, x]
            z3 = depth[y + 1, x + 1]
            once = abs(z0 + z3 - z1 - z2) < f4(0.012) and max(z0, z1, z2, z3) - min(z0, z1, z2, z3) < f4(0.05)
        for sub in range(1 if once else 4):
            s = 3 if once else sub
            y = 2 * py + (s >> 1)
            x = 2 * px + (s & 1)
            t = ids[y, x]
            if t < 0:
                look_up_room(room, (f4(x) + HALF) / f4(width), (f4(y) + HALF) / f4(height), out)
                for c in range(3):
                    albedo[y, x, c] = out[c]
                    light[y, x, c] = ONE
                    gloss[y, x, c] = ZERO
                if once:
                    whole[py, px] = 1
                continue
            w0 = weights[y, x, 0]
            w1 = weights[y, x, 1]
            w2 = ONE - w0 - w1
            side = 0
            if t < skin_triangles:
                kind = 0
                i0, i1, i2 = corners_of(skin_quads, t)
                for k in range(skin.shape[1]):
                    a[k] = w0 * skin[i0, k] + w1 * skin[i1, k] + w2 * skin[i2, k]
            elif t < skin_triangles + eye_triangles:
                kind = 1
                i0, i1, i2 = corners_of(eye_quads, t - skin_triangles)
                side = 0 if t - skin_triangles < (eye_triangles >> 1) else 1
                for k in range(eyes.shape[1]):
                    a[k] = w0 * eyes[i0, k] + w1 * eyes[i1, k] + w2 * eyes[i2, k]
            else:
                kind = 2
                i0, i1, i2 = corners_of(mouth_quads, t - skin_triangles - eye_triangles)
                for k in range(mouth.shape[1]):
                    a[k] = w0 * mouth[i0, k] + w1 * mouth[i1, k] + w2 * mouth[i2, k]
            nx, ny, nz, vx, vy, vz = face_camera(a, camera)
            gx = nx  # the smooth normal, without bumps
            gy = ny
            gz = nz
            sky = open_sky[py, px]
            inside = ZERO
            reach = ONE  # share of the light that reaches a place inside the mouth
            lid = ONE
            if kind == 0:
                inside = a[INSIDE]
                sky = f4(0.18) + f4(0.82) * sky  # skin scatters light into its folds
                paint_skin(a, noise, wrinkles, wrinkles_low, wrinkles_scale, p, tint, brow, moles, out)
                g = out[3] * gx + out[4] * gy + out[5] * gz
                nx -= out[3] - g * gx
                ny -= out[4] - g * gy
                nz -= out[5] - g * gz
                inverse = ONE / math.sqrt(nx * nx + ny * ny + nz * nz)
                nx *= inverse
                ny *= inverse
                nz *= inverse
            elif kind == 1:
                paint_eye(a, noise, eye, lids, side, out)
                lid = out[3]
            else:
                out[0] = a[MOUTH_COLOUR]
                out[1] = a[MOUTH_COLOUR + 1]
                out[2] = a[MOUTH_COLOUR + 2]
                reach = a[MOUTH_LIGHT]
            # ---- how much of the key light arrives: 4 taps a sample, 14 where the pixel is shaded once
            lx = a[3] - light_centre[0]
            ly = a[4] - light_centre[1]
            lz = a[5] - light_centre[2]
            lu = light_half + (light_axes[0, 0] * lx + light_axes[0, 1] * ly + light_axes[0, 2] * lz) * light_scale
            lv = light_half - (light_axes[1, 0] * lx + light_axes[1, 1] * ly + light_axes[1, 2] * lz) * light_scale
            ld = light_axes[2, 0] * lx + light_axes[2, 1] * ly + light_axes[2, 2] * lz
            nl = gx * kx + gy * ky + gz * kz
            bias = f4(0.03) + f4(0.05) * (ONE - max(ZERO, nl))
            lit = ZERO
            n_taps = 16 if once else 4
            for k in range(n_taps):
                if k == 5 and once and (lit == 0 or lit == f4(5)):  # the widest five agree: no edge of a shadow is near
                    lit *= f4(3.2)
                    break
                q = 15 - k if once else s + 4 * k
                iu = int(lu + taps[q, 0])
                iv = int(lv + taps[q, 1])
                if iu < 0 or iv < 0 or iu >= last or iv >= last or ld < shadow_map[iv, iu] + bias:
                    lit += ONE
            lit /= f4(n_taps)
            lit *= measure_strand_shadow(hair_density, hair_nearest, lu, lv, ld)
            lit *= measure_strand_shadow(object_density, object_nearest, lu, lv, ld)
            if kind == 2:
                sky = max(sky, f4(0.8))
                lit = (f4(0.45) + f4(0.55) * lit) * reach
            if inside > HALF:  # the cavity never goes quite black
                sky = max(sky, f4(0.30))
                lit = max(lit, f4(0.12))
            if kind == 1:
                sky *= lid * (f4(0.45) + f4(0.55) * sky)
                lit = (f4(0.15) + f4(0.85) * lit) * lid
            hemi = (f4(0.62) + f4(0.38) * ny) * reach
            sky_half = math.sqrt(sky)  # creases stay warm, not grey: red takes the root, green the power 3/4, blue the whole
            sky_three = math.sqrt(sky_half) * sky_half
            key = nx * kx + ny * ky + nz * kz
            fill = nx * lights[1, 0] + ny * lights[1, 1] + nz * lights[1, 2]
            rim = min(ONE, max(ZERO, nx * lights[2, 0] + ny * lights[2, 1] + nz * lights[2, 2]))
            for c in range(3):
                wrap = p[P_WRAP + c] if kind == 0 else f4(0.25) if kind == 1 else ZERO
                k0 = min(ONE, max(ZERO, (key + wrap) / (ONE + wrap)))
                k1 = min(ONE, max(ZERO, (fill + wrap) / (ONE + wrap)))
                occluded = sky_half if c == 0 else sky_three if c == 1 else sky
                v = k0 * lit * light_colours[0, c]
                v += (k1 * light_colours[1, c] * reach + rim * light_colours[2, c] * reach + hemi * ambient[c]) * occluded
                light[y, x, c] = v
                if kind == 0 and inside < HALF:
                    skin_light[c, py, px] += v
                albedo[y, x, c] = min(f4(0.92), max(f4(0.002), out[c]))
            if kind == 0 and inside < HALF:
                skin_weight[py, px] += ONE
            # ---- gloss
            nv = max(ZERO, nx * vx + ny * vy + nz * vz)
            if kind == 1:
                size = f4(0.07) + f4(0.018) * softness
                reflect_room(gx, gy, gz, vx, vy, vz, lights, light_colours, ambient, size, mirror)
                share = f4(0.25) + f4(0.75) * lid
                for c in range(3):
                    gloss[y, x, c] = mirror[c] * share
            else:
                rough = out[6] if kind == 0 else f4(0.28)
                strength = out[7] if kind == 0 else f4(0.6) * reach
                m = ONE - nv
                m2 = m * m
                alpha = rough * rough
                wide = max(rough, f4(0.32))
                wide *= wide
                fresnel = (f4(0.022) + f4(0.42) * m2 * m2 * m) * (ONE - rough * f4(0.6)) * hemi * sky * f4(0.8)
                if kind == 0 and a[COLLAR] > f4(-0.004):
                    fresnel *= f4(0.2)
                if inside > HALF:
                    strength *= f4(0.3)
                    fresnel = ZERO
                if kind == 0:  # two lobes: the oily layer, whose bumps are shallower, and the wide one of the scattering layer
                    hx = HALF * (nx + gx)
                    hy = HALF * (ny + gy)
                    hz = HALF * (nz + gz)
                    inverse = ONE / math.sqrt(hx * hx + hy * hy + hz * hz)
                    hx *= inverse
                    hy *= inverse
                    hz *= inverse
                    g0 = f4(0.40) * reflect_ggx(hx, hy, hz, vx, vy, vz, kx, ky, kz, alpha)
                    g0 += f4(0.60) * reflect_ggx(gx, gy, gz, vx, vy, vz, kx, ky, kz, min(f4(0.7), alpha * f4(2.2)))
                else:
                    g0 = reflect_ggx(nx, ny, nz, vx, vy, vz, kx, ky, kz, alpha)
                g0 *= lit * strength
                g1 = reflect_ggx(nx, ny, nz, vx, vy, vz, lights[1, 0], lights[1, 1], lights[1, 2], wide) * sky * strength
                alpha = max(alpha, f4(0.1))
                g2 = reflect_ggx(nx, ny, nz, vx, vy, vz, lights[2, 0], lights[2, 1], lights[2, 2], alpha) * sky * strength
                for c in range(3):
                    gloss[y, x, c] = (
                        g0 * light_colours[0, c] + g1 * light_colours[1, c] + g2 * light_colours[2, c] + fresnel * ambient[c]
                    )
            if once:
                whole[py, px] = 1
        if skin_weight[py, px] > 0:
            for c in range(3):
                skin_light[c, py, px] /= skin_weight[py, px]
            if once:
                skin_weight[py, px] = f4(4)
