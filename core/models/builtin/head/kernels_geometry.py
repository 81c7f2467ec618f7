"""Compiled loops over vertices: shapes, subdivision, normals, turning, projection, the cage that carries hair."""

import math

import numpy as np
from numpy.typing import NDArray

from core.models.builtin.head.compiled import kernel

Floats = NDArray[np.float32]
Integers = NDArray[np.int32]
f4 = np.float32
ZERO, ONE = f4(0), f4(1)


@kernel
def round_down(value: f4) -> int:
    """The largest whole number that is not above `value`; numba's math.floor calls the C library for each."""
    whole = int(value)
    return whole - 1 if value < f4(whole) else whole


@kernel
def smoothstep(low: f4, high: f4, value: f4) -> f4:
    """0 below `low`, 1 above `high`, smooth between; falls where high < low."""
    u = min(ONE, max(ZERO, (value - low) / (high - low)))
    return u * u * (f4(3) - f4(2) * u)


@kernel
def combine_shapes(rest: Floats, pointer: Integers, index: Integers, offset: Floats, chosen: Integers, weight: Floats) -> Floats:
    """Rest vertices (n, 3) plus the weighted sum of the chosen sparse shapes; shape s owns entries pointer[s] to pointer[s + 1]."""
    vertices = rest.copy()
    for k in range(len(chosen)):
        w = weight[k]
        for j in range(pointer[chosen[k]], pointer[chosen[k] + 1]):
            i = index[j]
            vertices[i, 0] += w * offset[j, 0]
            vertices[i, 1] += w * offset[j, 1]
            vertices[i, 2] += w * offset[j, 2]
    return vertices


@kernel
def subdivide(pointer: Integers, index: Integers, value: Floats, coarse: Floats) -> Floats:
    """Fine vertices: the subdivision matrix (compressed rows) times the coarse vertices."""
    n = len(pointer) - 1
    fine = np.empty((n, 3), np.float32)
    for row in range(n):
        x = y = z = ZERO
        for j in range(pointer[row], pointer[row + 1]):
            w = value[j]
            i = index[j]
            x += w * coarse[i, 0]
            y += w * coarse[i, 1]
            z += w * coarse[i, 2]
        fine[row, 0] = x
        fine[row, 1] = y
        fine[row, 2] = z
    return fine


@kernel
def compute_normals(vertices: Floats, quads: Integers) -> Floats:
    """Unit vertex normals (n, 3), weighted by the area of the quads around a vertex."""
    normal = np.zeros_like(vertices)
    for f in range(len(quads)):
        a = quads[f, 0]
        b = quads[f, 1]
        c = quads[f, 2]
        d = quads[f, 3]
        ux = vertices[c, 0] - vertices[a, 0]
        uy = vertices[c, 1] - vertices[a, 1]
        uz = vertices[c, 2] - vertices[a, 2]
        vx = vertices[d, 0] - vertices[b, 0]
        vy = vertices[d, 1] - vertices[b, 1]
        vz = vertices[d, 2] - vertices[b, 2]
        x = uy * vz - uz * vy
        y = uz * vx - ux * vz
        z = ux * vy - uy * vx
        for k in range(4):
            i = quads[f, k]
            normal[i, 0] += x
            normal[i, 1] += y
            normal[i, 2] += z
    for i in range(len(vertices)):
        length = math.sqrt(normal[i, 0] * normal[i, 0] + normal[i, 1] * normal[i, 1] + normal[i, 2] * normal[i, 2])
        scale = ONE / (length + f4(1e-12))
        normal[i, 0] *= scale
        normal[i, 1] *= scale
        normal[i, 2] *= scale
    return normal


@kernel
def push_out_of_sphere(vertices: Floats, centre: Floats, radius: f4, reach: f4, depth: f4) -> None:
    """Keep lids in front of an eyeball, in place: vertices inside the sphere go to its surface.

    Only vertices within `reach` of the centre along each axis, in front of it, and with z above `depth` are moved.
    """
    for i in range(len(vertices)):
        x = vertices[i, 0] - centre[0]
        y = vertices[i, 1] - centre[1]
        z = vertices[i, 2] - centre[2]
        if vertices[i, 2] > depth and abs(x) < reach and abs(y) < reach and abs(z) < reach:
            distance = math.sqrt(x * x + y * y + z * z)
            if distance < radius and z > 0.02 and distance > 1e-6:
                k = radius / distance
                vertices[i, 0] = centre[0] + x * k
                vertices[i, 1] = centre[1] + y * k
                vertices[i, 2] = centre[2] + z * k


@kernel
def relax_displacement(
    vertices: Floats, rest: Floats, chosen: Integers, strength: Floats, pointer: Integers, neighbour: Integers, rounds: int
) -> None:
    """Even out how far chosen vertices have moved from rest, in place: `rounds` times each takes a share of its neighbours' mean.

    strength (n,): that share, 0..1; the neighbours of chosen vertex i are neighbour[pointer[i]:pointer[i + 1]].
    """
    moved = np.empty((len(chosen), 3), np.float32)
    for _ in range(rounds):
        for i in range(len(chosen)):
            count = f4(pointer[i + 1] - pointer[i])
            for c in range(3):
                total = ZERO
                for j in range(pointer[i], pointer[i + 1]):
                    total += vertices[neighbour[j], c] - rest[neighbour[j], c]
                own = vertices[chosen[i], c] - rest[chosen[i], c]
                moved[i, c] = own + strength[i] * (total / count - own)
        for i in range(len(chosen)):
            for c in range(3):
                vertices[chosen[i], c] = rest[chosen[i], c] + moved[i, c]


@kernel
def turn_points(points: Floats, rotation: Floats, pivot: Floats, rigid: bool) -> None:
    """Turn points (n, 3) about the pivot, in place; unless `rigid`, the turn fades out down the neck (y 6.5 to 5.85)."""
    for i in range(len(points)):
        w = ONE
        if not rigid:
            w = smoothstep(f4(5.85), f4(6.5), points[i, 1])
        x = points[i, 0] - pivot[0]
        y = points[i, 1] - pivot[1]
        z = points[i, 2] - pivot[2]
        points[i, 0] += w * (rotation[0, 0] * x + rotation[0, 1] * y + rotation[0, 2] * z - x)
        points[i, 1] += w * (rotation[1, 0] * x + rotation[1, 1] * y + rotation[1, 2] * z - y)
        points[i, 2] += w * (rotation[2, 0] * x + rotation[2, 1] * y + rotation[2, 2] * z - z)


@kernel
def project_points(points: Floats, camera: Floats, axes: Floats, scale: f4, centre: f4) -> Floats:
    """Points (n, 3) on the image: column, row (samples), distance along the view. axes: rows right, up, forward."""
    out = np.empty((len(points), 3), np.float32)
    for i in range(len(points)):
        x = points[i, 0] - camera[0]
        y = points[i, 1] - camera[1]
        z = points[i, 2] - camera[2]
        a = axes[0, 0] * x + axes[0, 1] * y + axes[0, 2] * z
        b = axes[1, 0] * x + axes[1, 1] * y + axes[1, 2] * z
        c = axes[2, 0] * x + axes[2, 1] * y + axes[2, 2] * z
        out[i, 0] = centre + a / c * scale
        out[i, 1] = centre - b / c * scale
        out[i, 2] = c
    return out


@kernel
def project_to_light(points: Floats, centre: Floats, axes: Floats, half: f4, scale: f4) -> Floats:
    """Points (n, 3) on the light's map (parallel projection): column, row, depth along the light."""
    out = np.empty((len(points), 3), np.float32)
    for i in range(len(points)):
        x = points[i, 0] - centre[0]
        y = points[i, 1] - centre[1]
        z = points[i, 2] - centre[2]
        out[i, 0] = half + (axes[0, 0] * x + axes[0, 1] * y + axes[0, 2] * z) * scale
        out[i, 1] = half - (axes[1, 0] * x + axes[1, 1] * y + axes[1, 2] * z) * scale
        out[i, 2] = axes[2, 0] * x + axes[2, 1] * y + axes[2, 2] * z
    return out


@kernel
def displace_cage(index: Integers, weight: Floats, rest: Floats, vertices: Floats) -> Floats:
    """Displacement (n, 3) of every node of the hair cage: weighted displacement of near skin vertices."""
    out = np.zeros((len(index), 3), np.float32)
    for i in range(len(index)):
        for j in range(index.shape[1]):
            k = index[i, j]
            for c in range(3):
                out[i, c] += weight[i, j] * (vertices[k, c] - rest[k, c])
    return out


@kernel
def interpolate_cage(nodes: Floats, low: Floats, step: f4, shape: Integers, x: f4, y: f4, z: f4) -> tuple[f4, f4, f4]:
    """The cage's displacement at a point, trilinear; all three components."""
    u = min(max((x - low[0]) / step, ZERO), f4(shape[0]) - f4(1.001))
    v = min(max((y - low[1]) / step, ZERO), f4(shape[1]) - f4(1.001))
    t = min(max((z - low[2]) / step, ZERO), f4(shape[2]) - f4(1.001))
    i = int(u)
    j = int(v)
    k = int(t)
    u -= f4(i)
    v -= f4(j)
    t -= f4(k)
    row = shape[2]
    plane = shape[1] * shape[2]
    o = i * plane + j * row + k
    p = o + plane
    u1 = ONE - u
    v1 = ONE - v
    t1 = ONE - t
    a = u1 * v1 * t1
    b = u1 * v1 * t
    c = u1 * v * t1
    d = u1 * v * t
    e = u * v1 * t1
    f = u * v1 * t
    g = u * v * t1
    h = u * v * t
    n = nodes
    dx = a * n[o, 0] + b * n[o + 1, 0] + c * n[o + row, 0] + d * n[o + row + 1, 0]
    dx += e * n[p, 0] + f * n[p + 1, 0] + g * n[p + row, 0] + h * n[p + row + 1, 0]
    dy = a * n[o, 1] + b * n[o + 1, 1] + c * n[o + row, 1] + d * n[o + row + 1, 1]
    dy += e * n[p, 1] + f * n[p + 1, 1] + g * n[p + row, 1] + h * n[p + row + 1, 1]
    dz = a * n[o, 2] + b * n[o + 1, 2] + c * n[o + row, 2] + d * n[o + row + 1, 2]
    dz += e * n[p, 2] + f * n[p + 1, 2] + g * n[p + row, 2] + h * n[p + row + 1, 2]
    return dx, dy, dz
