"""Compiled colours of single places: skin with its pores, lips, brows and stubble; eyes; background; and the noise they use."""

import math

import numpy as np
from numpy.typing import NDArray

from core.models.builtin.head.compiled import kernel
from core.models.builtin.head.kernels_geometry import round_down, smoothstep

Floats = NDArray[np.float32]
f4 = np.float32
ZERO, HALF, ONE = f4(0), f4(0.5), f4(1)

# Columns of the skin's vertex attributes, after normal (0-2) and place (3-5)
REST, COLOUR, ROUGHNESS, LIPS, INSIDE, EDGE, STUBBLE, COLLAR, OIL, FRECKLE, WET, BLOTCH = (
    6,
    9,
    12,
    13,
    14,
    15,
    16,
    17,
    18,
    19,
    20,
    21,
)
SKIN_COLUMNS = 24  # two are spare: interpolated eight at a time
# Columns of the eyes' vertex attributes: direction in the turned eyeball, place in the head in radii from the centre
GAZE, LID_PLACE = 6, 9
EYE_COLUMNS = 12
# Columns of the mouth's vertex attributes: colour, how much light reaches it
MOUTH_COLOUR, MOUTH_LIGHT = 6, 9
MOUTH_COLUMNS = 10
# Entries of the skin's parameters
P_PORES, P_MOTTLE, P_GRAIN, P_RED, P_FRECKLES, P_LIPS, P_STUBBLE, P_SCALP = 0, 1, 2, 3, 4, 5, 6, 7
P_WRINKLES, P_WRAP, P_FINE, P_SPOTS, P_PATTERN, P_BROW_STEP, P_GLOSS = 8, 12, 15, 16, 17, 20, 21
SKIN_PARAMETERS = 22
# Rows of the tints
T_LIPS, T_HAIR, T_STUBBLE, T_SHIRT, T_INSIDE, T_BROW = 0, 1, 2, 3, 4, 5
# Entries of the eyes' parameters
E_PUPIL, E_IRIS_SIZE, E_RED, E_GREEN, E_BLUE, E_LASHES, E_WHITE = 0, 1, 2, 3, 4, 5, 6
LID_STEPS = 16  # entries of a lid's table, over x from -1.2 to 1.2 radii


@kernel
def look_up_noise(cube: Floats, x: f4, y: f4, z: f4) -> tuple[f4, f4, f4, f4]:
    """Value and gradient of the periodic noise cube (64, 64, 64), trilinear, cells of one."""
    i = round_down(x)
    j = round_down(y)
    k = round_down(z)
    u = x - f4(i)
    v = y - f4(j)
    w = z - f4(k)
    i &= 63
    j &= 63
    k &= 63
    i1 = (i + 1) & 63
    j1 = (j + 1) & 63
    k1 = (k + 1) & 63
    a = cube[i, j, k]
    b = cube[i, j, k1]
    c = cube[i, j1, k]
    d = cube[i, j1, k1]
    e = cube[i1, j, k]
    f = cube[i1, j, k1]
    g = cube[i1, j1, k]
    h = cube[i1, j1, k1]
    ab = a + (b - a) * w
    cd = c + (d - c) * w
    ef = e + (f - e) * w
    gh = g + (h - g) * w
    p = ab + (cd - ab) * v
    q = ef + (gh - ef) * v
    dy = (cd - ab) * (ONE - u) + (gh - ef) * u
    dz = ((b - a) * (ONE - v) + (d - c) * v) * (ONE - u) + ((f - e) * (ONE - v) + (h - g) * v) * u
    return p + (q - p) * u, q - p, dy, dz


@kernel
def paint_room(colour: Floats, blobs: Floats, noise: Floats, room: Floats) -> None:
    """Fill the background (n, n, 3) with a room out of focus: large soft shapes, a lower half in shade, lights as spots and discs.

    blobs (m, 6): place in shares of the side, sharpness 7 (wide spot) .. 25 (narrow disc), added colour.
    """
    n = room.shape[0]
    for y in range(n):
        for x in range(n):
            paint_background(f4(x) / f4(n - 1), f4(y) / f4(n - 1), colour, blobs, noise, room[y, x])


@kernel
def look_up_room(room: Floats, u: f4, v: f4, out: Floats) -> None:
    """Colour (out 0-2) of the background at (u, v) in 0..1, bilinear."""
    n = room.shape[0] - 1
    fu = min(u * f4(n), f4(n) - f4(0.001))
    fv = min(v * f4(n), f4(n) - f4(0.001))
    i = int(fu)
    j = int(fv)
    fu -= f4(i)
    fv -= f4(j)
    for c in range(3):
        upper = room[j, i, c] * (ONE - fu) + room[j, i + 1, c] * fu
        lower = room[j + 1, i, c] * (ONE - fu) + room[j + 1, i + 1, c] * fu
        out[c] = upper * (ONE - fv) + lower * fv


@kernel
def paint_background(u: f4, v: f4, colour: Floats, blobs: Floats, noise: Floats, out: Floats) -> None:
    """Colour (out 0-2) of the room at one place (u, v) in 0..1."""
    shift = f4(5) * (blobs[0, 0] + blobs[1, 1]) + f4(3) * blobs[2, 0]
    shapes = look_up_noise(noise, u * f4(3.4) + f4(11) + shift, v * f4(2.6) + f4(23), shift + f4(40))[0]
    fall = f4(1.10) - f4(0.22) * v + f4(0.09) * shapes
    fall -= f4(0.20) * smoothstep(f4(-0.16), f4(0.20), v - f4(0.35) - f4(0.4) * blobs[1, 1] + f4(0.10) * (u - HALF))
    dx = u - HALF
    dy = v - HALF
    fall *= ONE - f4(0.35) * (dx * dx + dy * dy)
    for c in range(3):
        out[c] = colour[c] * fall
    for b in range(blobs.shape[0]):
        dx = u - blobs[b, 0]
        dy = v - blobs[b, 1]
        q = (dx * dx + dy * dy) * blobs[b, 2]
        disc = smoothstep(f4(9), f4(24), blobs[b, 2])
        spot = f4(math.exp(-q))
        lamp = (ONE - disc) * spot + disc * (f4(0.35) * spot + f4(0.65) * smoothstep(f4(0.75), f4(0.35), f4(math.sqrt(q))))
        for c in range(3):  # a shadow has no edge
            out[c] += (lamp if blobs[b, 3 + c] > 0 else spot) * blobs[b, 3 + c]
    for c in range(3):
        out[c] = max(f4(0.004), out[c])


@kernel
def paint_skin(
    a: Floats,
    noise: Floats,
    wrinkles: Floats,
    low: Floats,
    scale: Floats,
    p: Floats,
    tint: Floats,
    brow: Floats,
    moles: Floats,
    out: Floats,
) -> None:
    """Colour (out 0-2), bump gradient (3-5), roughness (6) and gloss (7) of a place on the skin with attributes a.

    brow: height, half width, strength over |x| (step P_BROW_STEP). moles (n, 4): place on the rest head, radius.
    """
    rx = a[REST]
    ry = a[REST + 1]
    rz = a[REST + 2]
    c0 = a[COLOUR]
    c1 = a[COLOUR + 1]
    c2 = a[COLOUR + 2]
    rough = a[ROUGHNESS]
    gloss = f4(0.9)
    inside = a[INSIDE]
    shirt = smoothstep(f4(-0.006), f4(0.006), a[COLLAR])
    bare = (ONE - shirt) * (ONE - inside)
    s = f4(62)
    pores, d1, d2, d3 = look_up_noise(noise, rx * s + f4(500), ry * s + f4(500), rz * s + f4(500))
    s = f4(19)
    mottle, e1, e2, e3 = look_up_noise(
        noise, rx * s + f4(317) + p[P_PATTERN], ry * s + f4(317) + p[P_PATTERN + 1], rz * s + f4(317) + p[P_PATTERN + 2]
    )
    k = p[P_PORES] * bare
    bx = k * (d1 + f4(0.07) * e1)
    by = k * (d2 + f4(0.07) * e2)
    bz = k * (d3 + f4(0.07) * e3)
    if p[P_FINE] > 0:  # the finest pores, only where a pixel can show them
        s = f4(330)
        finest, d1, d2, d3 = look_up_noise(noise, rx * s + f4(900), ry * s + f4(900), rz * s + f4(900))
        k = p[P_FINE] * bare
        bx += k * d1
        by += k * d2
        bz += k * d3
        k = min(ONE, p[P_FINE] * f4(60))
        pores += k * (f4(0.7) * finest - f4(0.3) * pores)
    k = ONE + (p[P_MOTTLE] * mottle + p[P_GRAIN] * pores) * bare
    red = p[P_RED] * mottle * bare + a[BLOTCH]
    c0 *= k * (ONE + f4(0.2) * red)
    c1 *= k * (ONE - red)
    c2 *= k * (ONE - red)
    freckled = a[FRECKLE] * p[P_FRECKLES]
    spotted = p[P_SPOTS] * bare
    if freckled > 0:
        s = f4(215)
        grains, d1, d2, d3 = look_up_noise(
            noise, rx * s + f4(600) + p[P_PATTERN], ry * s + f4(631) + p[P_PATTERN + 1], rz * s + f4(577) + p[P_PATTERN + 2]
        )
        k = smoothstep(f4(0.95), f4(1.75), grains + f4(0.45) * mottle) * freckled
        c0 *= ONE - f4(0.34) * k
        c1 *= ONE - f4(0.45) * k
        c2 *= ONE - f4(0.54) * k
    if spotted > 0:
        k = smoothstep(f4(1.6), f4(2.5), mottle + f4(0.08) * pores) * spotted  # spots of age
        c0 *= ONE - f4(0.20) * k
        c1 *= ONE - f4(0.30) * k
        c2 *= ONE - f4(0.36) * k
    if rz > f4(0.6) and bare > HALF:
        wx = (abs(rx) - low[0]) * scale[0]
        wy = (ry - low[1]) * scale[1]
        if wx < wrinkles.shape[1] - 1 and wy >= 0 and wy < wrinkles.shape[0] - 1:
            i = int(wx)
            j = int(wy)
            u = wx - f4(i)
            v = wy - f4(j)
            hx = hy = h = ZERO
            for k in range(4):
                w = p[P_WRINKLES + k]
                if w == 0:
                    continue
                b00 = wrinkles[j, i, k]
                b10 = wrinkles[j, i + 1, k]
                b01 = wrinkles[j + 1, i, k]
                b11 = wrinkles[j + 1, i + 1, k]
                hx += w * ((b10 - b00) * (ONE - v) + (b11 - b01) * v)
                hy += w * ((b01 - b00) * (ONE - u) + (b11 - b10) * u)
                h += w * ((b00 * (ONE - u) + b10 * u) * (ONE - v) + (b01 * (ONE - u) + b11 * u) * v)
            bx += f4(0.010) * scale[0] * hx * (ONE if rx > 0 else -ONE)
            by += f4(0.010) * scale[1] * hy
            h = max(f4(-1.8), h)
            c0 *= ONE + f4(0.14) * h
            c1 *= ONE + f4(0.21) * h
            c2 *= ONE + f4(0.21) * h
    for i in range(len(moles)):
        dx = rx - moles[i, 0]
        dy = ry - moles[i, 1]
        dz = rz - moles[i, 2]
        q = (dx * dx + dy * dy + dz * dz) / (moles[i, 3] * moles[i, 3])
        if q < f4(4):
            k = math.exp(-q * q) * f4(0.72) * min(ONE, moles[i, 3] * f4(100))
            c0 *= ONE - f4(0.75) * k
            c1 *= ONE - k
            c2 *= ONE - k
    lips = smoothstep(f4(0.26), f4(0.68), a[LIPS])
    if lips > 0:  # vertical furrows and the lips' colour
        wrinkle, d1, d2, d3 = look_up_noise(noise, rx * f4(70) + f4(211), ry * f4(9) + f4(133), rz * f4(9) + f4(71))
        furrow = math.sin(rx * f4(120) + f4(2.6) * mottle) * f4(0.4) + f4(0.45) * wrinkle
        bx = bx * (ONE - lips) + lips * (f4(0.022) * furrow + f4(0.020) * d1 + f4(0.012) * pores)
        by *= ONE - f4(0.7) * lips
        bz *= ONE - f4(0.7) * lips
        k = lips * p[P_LIPS]
        m = ONE - f4(0.07) * max(ZERO, furrow) + f4(0.05) * mottle
        c0 += (tint[T_LIPS, 0] * m - c0) * k
        c1 += (tint[T_LIPS, 1] * m - c1) * k
        c2 += (tint[T_LIPS, 2] * m - c2) * k
    k = a[STUBBLE] * p[P_STUBBLE] * (f4(0.75) + f4(0.35) * pores) * (ONE - lips)
    if k > 0:  # hair seen through the skin, broken up by the pores
        k = min(k, f4(0.85))
        c0 += (tint[T_STUBBLE, 0] - c0) * k
        c1 += (tint[T_STUBBLE, 1] - c1) * k
        c2 += (tint[T_STUBBLE, 2] - c2) * k
    k = smoothstep(f4(-0.02), f4(0.24), a[EDGE] + f4(0.035) * mottle + f4(0.025) * pores) * p[P_SCALP]
    if k > 0:
        c0 += (tint[T_HAIR, 0] - c0) * k
        c1 += (tint[T_HAIR, 1] - c1) * k
        c2 += (tint[T_HAIR, 2] - c2) * k
    u = abs(rx) / p[P_BROW_STEP]
    if ry > f4(7.2) and ry < f4(7.85) and rz > f4(0.8) and u < f4(brow.shape[1] - 1):
        i = int(u)
        f = u - f4(i)
        centre = brow[0, i] * (ONE - f) + brow[0, i + 1] * f
        half_width = brow[1, i] * (ONE - f) + brow[1, i + 1] * f
        away = (ry - centre) / half_width
        if away * away < f4(9):
            k = math.exp(-away * away) * (brow[2, i] * (ONE - f) + brow[2, i + 1] * f) * (f4(0.8) + f4(0.25) * pores)
            c0 += (tint[T_BROW, 0] - c0) * k
            c1 += (tint[T_BROW, 1] - c1) * k
            c2 += (tint[T_BROW, 2] - c2) * k
    if inside > 0:
        k = smoothstep(f4(0.25), f4(0.7), inside)
        m = f4(0.16) + f4(0.84) * math.exp(-max(ZERO, f4(1.47) - rz) * f4(7))
        c0 += (tint[T_INSIDE, 0] * m - c0) * k
        c1 += (tint[T_INSIDE, 1] * m - c1) * k
        c2 += (tint[T_INSIDE, 2] * m - c2) * k
    if shirt > 0:
        weave = ONE + f4(0.06) * pores + f4(0.04) * mottle
        hem = a[COLLAR]
        seam = (hem - f4(0.055)) / f4(0.006)
        weave *= (
            f4(0.72)
            + f4(0.28) * smoothstep(ZERO, f4(0.014), hem)
            + f4(0.10) * smoothstep(f4(0.055), f4(0.05), hem)
            - f4(0.18) * math.exp(-seam * seam)
        )
        c0 += (tint[T_SHIRT, 0] * weave - c0) * shirt
        c1 += (tint[T_SHIRT, 1] * weave - c1) * shirt
        c2 += (tint[T_SHIRT, 2] * weave - c2) * shirt
        rough = rough * (ONE - shirt) + f4(0.85) * shirt
        gloss *= ONE - f4(0.85) * shirt
    wet = a[WET]
    rough = min(f4(0.8), max(f4(0.22), rough - f4(0.09) * a[OIL] - f4(0.12) * lips - f4(0.2) * wet + f4(0.03) * mottle))
    gloss *= (f4(0.75) + f4(0.45) * a[OIL] + f4(0.25) * lips + wet) * p[P_GLOSS]
    out[0] = c0
    out[1] = c1
    out[2] = c2
    out[3] = bx
    out[4] = by
    out[5] = bz
    out[6] = rough
    out[7] = gloss


@kernel
def paint_eye(a: Floats, noise: Floats, p: Floats, lids: Floats, side: int, out: Floats) -> None:
    """Colour (out 0-2) of a place on an eyeball and the light (out 3) that the upper lid and its lashes leave there.

    a: eye attributes; p: E_ parameters; lids (2, LID_STEPS): height of the upper lid's rim in radii, by x.
    """
    gx = a[GAZE]
    gy = a[GAZE + 1]
    gz = a[GAZE + 2]
    radius = math.sqrt(gx * gx + gy * gy)
    degrees = math.atan2(radius, gz) * f4(57.29578)
    size = p[E_IRIS_SIZE]
    u = degrees / size
    # sclera: slightly warm, redder and darker to the sides, a few veins
    veins = look_up_noise(noise, gx * f4(22) + f4(40), gy * f4(34) + f4(90), gz * f4(8))[0]
    m = smoothstep(f4(30), f4(80), degrees)
    vein = m * smoothstep(f4(0.9), f4(1.9), veins) * f4(0.20)
    s0 = p[E_WHITE] * f4(0.458) * (ONE - f4(0.12) * m)
    s1 = p[E_WHITE] * f4(0.418) * (ONE - f4(0.30) * m - vein)
    s2 = p[E_WHITE] * f4(0.388) * (ONE - f4(0.31) * m - vein)
    # iris: fibres from the pupil to the rim, a lighter ring inside, a dark rim
    inverse = ONE / (radius + f4(1e-5))
    cx = gx * inverse
    cy = gy * inverse
    fibres = look_up_noise(noise, cx * f4(17) + f4(12.3), cy * f4(17) + f4(30.7), u * f4(1.3))[0]
    strands = look_up_noise(noise, cx * f4(44) + f4(5.1), cy * f4(44) + f4(3.3), u * f4(0.9))[0]
    q = (u - HALF) / f4(0.20)
    ring = f4(0.74) + f4(0.42) * math.exp(-q * q)
    grain = ONE + smoothstep(f4(0.25), f4(0.6), u) * (f4(0.16) * fibres + f4(0.12) * strands)
    dark = ONE - f4(0.78) * smoothstep(f4(0.80), f4(0.99), u)
    amber = f4(0.35) * smoothstep(f4(0.72), f4(0.40), u + f4(0.05) * fibres)  # a warm ring around the pupil
    k = max(f4(0.2), ring * grain) * dark
    i0 = p[E_RED] * k * (ONE + f4(0.5) * amber)
    i1 = p[E_GREEN] * k * (ONE - f4(0.1) * amber)
    i2 = p[E_BLUE] * k * (ONE - amber)
    k = smoothstep(size - f4(1.5), size + f4(1.9), degrees)
    c0 = i0 + (s0 - i0) * k
    c1 = i1 + (s1 - i1) * k
    c2 = i2 + (s2 - i2) * k
    k = f4(0.015) + f4(0.985) * smoothstep(p[E_PUPIL] - f4(0.9), p[E_PUPIL] + f4(0.9), degrees)
    # the lid's shadow: by the distance below the upper lid's rim
    t = min(f4(LID_STEPS) - f4(1.001), max(ZERO, (a[LID_PLACE] + f4(1.2)) / f4(2.4) * f4(LID_STEPS - 1)))
    i = int(t)
    rim = lids[side, i] + (lids[side, i + 1] - lids[side, i]) * (t - f4(i))
    below = max(ZERO, rim - a[LID_PLACE + 1])
    out[0] = c0 * k
    out[1] = c1 * k
    out[2] = c2 * k
    out[3] = ONE - (f4(0.50) + f4(0.15) * p[E_LASHES]) * math.exp(-below * f4(3.6)) - f4(0.25) * math.exp(-below * f4(14))


# Entries of what paint_vertices is told about a person
V_RED, V_RED_SCALE, V_SOCKET, V_UNDER_EYE, V_CHEEK, V_CHIN, V_FOLD, V_LINE_UP, V_LINE_LOW, V_OIL, V_RECESSION = (
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    10,
)
V_SHADOW, V_LINER, V_BLUSH, V_MOUSTACHE, V_CHIN_BEARD, V_CHEEK_BEARD, V_AGE = 11, 12, 13, 14, 15, 16, 17
VERTEX_PARAMETERS = 18
# Columns of the zones
(
    Z_CHEEK,
    Z_NOSE,
    Z_CHIN,
    Z_EARS,
    Z_SOCKET,
    Z_UNDER_EYE,
    Z_LID,
    Z_CREASE,
    Z_LINE_UP,
    Z_LINE_LOW,
    Z_OIL,
    Z_MOUSTACHE,
    Z_CHIN_BEARD,
    Z_CHEEK_BEARD,
    Z_FRECKLE,
    Z_EDGE,
    Z_RECEDES,
    Z_COLLAR,
    Z_LIPS,
    Z_INSIDE,
    Z_BLUSH,
    Z_HOLLOW,
    Z_NOSTRIL,
) = range(23)
ZONE_COLUMNS = 23


@kernel
def paint_vertices(
    zones: Floats, rest: Floats, noise: Floats, pattern: Floats, base: Floats, shadow: Floats, q: Floats, a: Floats
) -> None:
    """Fill the person's skin attributes (n, SKIN_COLUMNS) from column REST on: low-frequency colour, roughness and zones.

    zones (n, ZONE_COLUMNS) and rest (n, 3) of the rest head; base, shadow: colours of skin and eye shadow; q: V_ entries.
    """
    s = f4(2.2)
    w = f4(0.8)
    for i in range(len(rest)):
        x = rest[i, 0]
        y = rest[i, 1]
        z = rest[i, 2]
        n1 = look_up_noise(noise, x * s + f4(640) + pattern[0], y * s + f4(660) + pattern[1], z * s + f4(690) + pattern[2])[0]
        n2 = look_up_noise(noise, x * w + f4(650) + pattern[1], y * w + f4(680) + pattern[2], z * w + f4(670) + pattern[0])[0]
        red = f4(0.50) * zones[i, Z_CHEEK] + f4(0.55) * zones[i, Z_NOSE] + f4(0.28) * zones[i, Z_CHIN] + f4(0.45) * zones[i, Z_EARS]
        red = min(f4(1.2), max(f4(-0.4), q[V_RED] * red + f4(0.08) * n1 + f4(0.06) * n2)) * q[V_RED_SCALE]
        dark = q[V_SOCKET] * zones[i, Z_SOCKET] + q[V_UNDER_EYE] * zones[i, Z_UNDER_EYE]
        dark += q[V_CHEEK] * zones[i, Z_CHEEK] + q[V_CHIN] * zones[i, Z_CHIN] + f4(0.10) * q[V_AGE] * zones[i, Z_HOLLOW]
        shade = (ONE + f4(0.028) * n2) * (ONE - min(f4(0.6), max(f4(-0.2), dark)))
        shade *= ONE - q[V_FOLD] * zones[i, Z_CREASE]
        shade *= ONE - q[V_LINE_UP] * zones[i, Z_LINE_UP]
        shade *= ONE - q[V_LINE_LOW] * zones[i, Z_LINE_LOW]
        # forehead a little yellower, lower face a little cooler, as blood and bone have it
        brow = smoothstep(f4(7.45), f4(7.75), y) * smoothstep(f4(0.6), f4(1.1), z)
        jaw = smoothstep(f4(6.80), f4(6.45), y) * smoothstep(f4(5.9), f4(6.2), y)
        c0 = base[0] * (ONE + f4(0.02) * red - f4(0.015) * jaw) * shade * (ONE - f4(0.14) * zones[i, Z_LINE_UP])
        c1 = base[1] * (ONE - f4(0.27) * red + f4(0.012) * brow) * shade * f4(0.985)
        c2 = base[2] * (ONE - f4(0.23) * red - f4(0.05) * brow + f4(0.03) * jaw) * shade * f4(0.99)
        k = zones[i, Z_NOSTRIL]  # the mesh's nostrils are shallow
        c0 *= ONE - f4(0.74) * k
        c1 *= ONE - f4(0.86) * k
        c2 *= ONE - f4(0.88) * k
        k = q[V_BLUSH] * zones[i, Z_BLUSH]
        c0 *= ONE - f4(0.03) * k
        c1 *= ONE - f4(0.42) * k
        c2 *= ONE - f4(0.34) * k
        k = q[V_SHADOW] * zones[i, Z_LID]
        c0 += (shadow[0] - c0) * k
        c1 += (shadow[1] - c1) * k
        c2 += (shadow[2] - c2) * k
        k = ONE - f4(0.93) * q[V_LINER] * min(ONE, f4(1.4) * zones[i, Z_LINE_UP] + f4(0.45) * zones[i, Z_LINE_LOW])
        a[i, REST] = x
        a[i, REST + 1] = y
        a[i, REST + 2] = z
        a[i, COLOUR] = max(f4(0.002), c0 * k)
        a[i, COLOUR + 1] = max(f4(0.002), c1 * k)
        a[i, COLOUR + 2] = max(f4(0.002), c2 * k)
        a[i, ROUGHNESS] = f4(0.47) + f4(0.03) * n1 - f4(0.05) * q[V_OIL]
        a[i, LIPS] = zones[i, Z_LIPS]
        a[i, INSIDE] = zones[i, Z_INSIDE]
        a[i, EDGE] = zones[i, Z_EDGE] - q[V_RECESSION] * zones[i, Z_RECEDES]
        beard = q[V_MOUSTACHE] * zones[i, Z_MOUSTACHE] + q[V_CHIN_BEARD] * zones[i, Z_CHIN_BEARD]
        a[i, STUBBLE] = min(ONE, beard + q[V_CHEEK_BEARD] * zones[i, Z_CHEEK_BEARD])
        a[i, COLLAR] = zones[i, Z_COLLAR]
        a[i, OIL] = min(ONE, zones[i, Z_OIL] * (f4(0.35) + q[V_OIL]))
        a[i, FRECKLE] = zones[i, Z_FRECKLE]
        a[i, WET] = zones[i, Z_LINE_LOW] * (ONE - q[V_LINER])
        a[i, BLOTCH] = f4(0.03) * n1 * q[V_RED_SCALE] * (ONE - zones[i, Z_INSIDE])
