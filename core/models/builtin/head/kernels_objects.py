"""Compiled shading of what a person wears: glasses, earrings, a knitted cap; drawn over the finished head, with opacity."""

import math

import numpy as np
from numpy.typing import NDArray

from core.models.builtin.head.compiled import kernel
from core.models.builtin.head.kernels_geometry import smoothstep
from core.models.builtin.head.kernels_raster import corners_of
from core.models.builtin.head.kernels_shading import face_camera, measure_strand_shadow, reflect_ggx, reflect_room

Floats = NDArray[np.float32]
Integers = NDArray[np.int32]
f4 = np.float32
ZERO, HALF, ONE = f4(0), f4(0.5), f4(1)

# Columns of an object's vertex attributes, after normal (0-2) and place (3-5)
O_COLOUR, O_ALPHA, O_ROUGH, O_MIRROR, O_REST, O_KNIT, O_LENS = 6, 9, 10, 11, 12, 15, 16
OBJECT_COLUMNS = 17


@kernel
def knit(rx: f4, ry: f4, rz: f4, hem: Floats, out: Floats) -> None:
    """Pattern of a knitted cap at a place of the rest head: bump gradient (out 0-2), brightness (3), opacity at the hem (4)."""
    above = ry - hem[0] - hem[1] * rz
    angle = math.atan2(rx, rz - f4(0.1))
    brim = smoothstep(f4(0.27), f4(0.25), above)
    # brim: vertical ribs; above: columns of stitches that lean left and right by turns
    ribs = math.sin(angle * f4(84))
    column = angle * f4(60)
    lean = math.sin(column)
    rows = math.sin(ry * f4(150) + f4(1.6) * (ONE if lean > 0 else -ONE) * math.cos(column))
    slope = f4(84) * math.cos(angle * f4(84)) * brim * f4(0.006) + f4(60) * math.cos(column) * (ONE - brim) * f4(0.007)
    radius = math.sqrt(rx * rx + (rz - f4(0.1)) * (rz - f4(0.1))) + f4(0.15)
    fold = math.exp(-(((above - f4(0.26)) / f4(0.014)) ** 2))
    out[0] = slope * math.cos(angle) / radius
    out[1] = f4(0.5) * math.cos(ry * f4(150)) * (ONE - brim) * f4(0.35)
    out[2] = -slope * math.sin(angle) / radius
    out[3] = (ONE - f4(0.45) * fold) * (
        f4(0.86) + f4(0.16) * (ribs * brim + (f4(0.6) * lean * lean + f4(0.5) * rows) * (ONE - brim))
    )
    out[4] = smoothstep(f4(-0.008), f4(0.008), above)


@kernel
def shade_objects(
    ids: Integers,
    weights: Floats,
    object_depth: Floats,
    quads: Integers,
    objects: Floats,
    box: Integers,
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
    softness: f4,
    hem: Floats,
    depth: Floats,
    image: Floats,
) -> None:
    """Blend the rasterised objects into the image (H, W, 3), in place, where nothing nearer has been drawn.

    objects (n, OBJECT_COLUMNS); box: first and last row, first and last column that they may cover. depth is written
    where an object is at least half opaque.
    """
    a = np.empty(OBJECT_COLUMNS, np.float32)
    mirror = np.zeros(3, np.float32)
    pattern = np.zeros(5, np.float32)
    size = shadow_map.shape[0]
    for y in range(box[0], box[1] + 1):
        for x in range(box[2], box[3] + 1):
            t = ids[y, x]
            if t < 0 or object_depth[y, x] > depth[y, x] + f4(0.004):
                continue
            w0 = weights[y, x, 0]
            w1 = weights[y, x, 1]
            w2 = ONE - w0 - w1
            i0, i1, i2 = corners_of(quads, t)
            for k in range(objects.shape[1]):
                a[k] = w0 * objects[i0, k] + w1 * objects[i1, k] + w2 * objects[i2, k]
            alpha = a[O_ALPHA]
            nx, ny, nz, vx, vy, vz = face_camera(a, camera)
            if a[O_LENS] > HALF:
                reflect_room(nx, ny, nz, vx, vy, vz, lights, light_colours, ambient, f4(0.30), mirror)
                streak = f4(0.012) + f4(0.035) * smoothstep(f4(-0.25), f4(0.6), nx * f4(0.5) + ny)
                for c in range(3):
                    image[y, x, c] += alpha * (f4(0.055) * mirror[c] + streak * ambient[c] - f4(0.05) * image[y, x, c])
                continue
            shade = ONE
            if a[O_KNIT] > HALF:
                knit(a[O_REST], a[O_REST + 1], a[O_REST + 2], hem, pattern)
                alpha *= pattern[4]
                shade = pattern[3]
                g = pattern[0] * nx + pattern[1] * ny + pattern[2] * nz
                nx -= pattern[0] - g * nx
                ny -= pattern[1] - g * ny
                nz -= pattern[2] - g * nz
                inverse = ONE / (math.sqrt(nx * nx + ny * ny + nz * nz) + f4(1e-9))
                nx *= inverse
                ny *= inverse
                nz *= inverse
            if alpha < f4(0.002):
                continue
            lx = a[3] - light_centre[0]
            ly = a[4] - light_centre[1]
            lz = a[5] - light_centre[2]
            u = light_half + (light_axes[0, 0] * lx + light_axes[0, 1] * ly + light_axes[0, 2] * lz) * light_scale
            v = light_half - (light_axes[1, 0] * lx + light_axes[1, 1] * ly + light_axes[1, 2] * lz) * light_scale
            d = light_axes[2, 0] * lx + light_axes[2, 1] * ly + light_axes[2, 2] * lz
            lit = ZERO
            for k in range(8):
                r = softness * math.sqrt((f4(k) + HALF) / f4(8))
                iu = int(u + r * math.cos(f4(2.39996) * f4(k)))
                iv = int(v + r * math.sin(f4(2.39996) * f4(k)))
                if iu < 0 or iv < 0 or iu >= size or iv >= size or d < shadow_map[iv, iu] + f4(0.06):
                    lit += f4(0.125)
            lit *= measure_strand_shadow(hair_density, hair_nearest, u, v, d)
            wrap = f4(0.2) if a[O_KNIT] > HALF else ZERO
            key = min(ONE, max(ZERO, (nx * lights[0, 0] + ny * lights[0, 1] + nz * lights[0, 2] + wrap) / (ONE + wrap))) * lit
            fill = max(ZERO, nx * lights[1, 0] + ny * lights[1, 1] + nz * lights[1, 2])
            rim = max(ZERO, nx * lights[2, 0] + ny * lights[2, 1] + nz * lights[2, 2])
            hemi = f4(0.62) + f4(0.38) * ny
            rough = a[O_ROUGH] * a[O_ROUGH]
            shine = ONE - f4(0.9) * a[O_KNIT]
            s0 = reflect_ggx(nx, ny, nz, vx, vy, vz, lights[0, 0], lights[0, 1], lights[0, 2], rough) * lit * shine
            s1 = reflect_ggx(nx, ny, nz, vx, vy, vz, lights[1, 0], lights[1, 1], lights[1, 2], max(rough, f4(0.1))) * shine
            s2 = reflect_ggx(nx, ny, nz, vx, vy, vz, lights[2, 0], lights[2, 1], lights[2, 2], max(rough, f4(0.1))) * shine
            metal = a[O_MIRROR]
            reflect_room(nx, ny, nz, vx, vy, vz, lights, light_colours, ambient, f4(0.3), mirror)
            for c in range(3):
                tone = a[O_COLOUR + c] * shade
                diffuse = key * light_colours[0, c] + fill * light_colours[1, c] + rim * light_colours[2, c] + hemi * ambient[c]
                gloss = s0 * light_colours[0, c] + s1 * light_colours[1, c] + s2 * light_colours[2, c]
                value = tone * diffuse * (ONE - f4(0.6) * metal) + gloss * (ONE - metal + metal * tone * f4(20))
                value += metal * tone * (f4(0.4) * mirror[c] + f4(0.5) * hemi * ambient[c])
                image[y, x, c] += alpha * (value - image[y, x, c])
            if alpha > HALF:
                depth[y, x] = object_depth[y, x]
