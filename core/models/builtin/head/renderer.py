"""Pictures of the parametric head: one description in, one image out, on one core.

Geometry, paint and strands, triangles, the key light's maps, scalp hair into its own layer, shading, light below the skin, other
strands, accessories, bytes. A picture of 256 pixels takes some 60 ms. The same description gives the same bytes whatever the
threads: kernels hold no lock and share nothing, and every thread has work arrays of its own.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from core.errors import LiminalError
from core.models.builtin.head.accessories import ObjectMesh, dress
from core.models.builtin.head.curves import make_srgb_table, make_tone_curve
from core.models.builtin.head.description import HeadDescription
from core.models.builtin.head.eyes import load_eyeball, place_eyes
from core.models.builtin.head.geometry import load_geometry
from core.models.builtin.head.kernels_geometry import compute_normals, project_points, project_to_light, turn_points
from core.models.builtin.head.kernels_objects import shade_objects
from core.models.builtin.head.kernels_painting import paint_room
from core.models.builtin.head.kernels_raster import (
    blur_box,
    blur_skin_light,
    compose_samples,
    lay_over,
    measure_occlusion,
    rasterise_depth,
    rasterise_quads,
    resolve_bytes,
    spread_nearest,
)
from core.models.builtin.head.kernels_shading import shade_samples
from core.models.builtin.head.kernels_strands import draw_strands, find_seen, splat_density
from core.models.builtin.head.mouth import load_mouth, place_mouth
from core.models.builtin.head.scene import (
    NECK,
    SHADOW_SIZE,
    SHADOW_SPAN,
    Camera,
    Lights,
    limit_description,
    make_rotation,
    place_camera,
    place_lights,
)
from core.models.builtin.head.skin import choose_exposure, describe_skin, load_skin_zones, paint_person, relax_skin
from core.models.builtin.head.strands import StrandSet, choose_detail, grow_brows, grow_hair, grow_lashes, place_hem

Floats = NDArray[np.float32]
Integers = NDArray[np.int32]
Image = NDArray[np.uint8]

SIZES = (32, 1024)
"""Smallest and largest side of a picture in pixels."""
OBJECT_DENSITY = 0.035
ROOM_SIZE = 97
"""Side of the background before it is enlarged: nothing in it is sharp."""
FAR = np.float32(1e9)
LIGHT_HALF, LIGHT_SCALE = np.float32(SHADOW_SIZE / 2), np.float32(SHADOW_SIZE / SHADOW_SPAN)
STRAND_LOOKS = {"scalp": (0.85, 2.0, 0.085), "beard": (0.5, 2.0, 0.04), "brow": (0.55, 0.0, 0.02), "lash": (0.75, 0.0, 0.0)}
"""Opacity, self shadow and gloss of each kind of strands."""
DENSITIES = {"scalp": 0.22, "beard": 0.02}
"""How much each kind of strands dims the key light."""
DENSEST = 2.2
"""Of what dims the key light before it is blurred: denser, the rim of a hair's shadow would be as sharp as a cut."""
SKIN_BLUR = np.array([1.9, 0.82, 0.55], np.float32)
"""How far red, green and blue light wander below the skin, in pixels of a picture of 256."""
SKIN_DETAIL = np.float32(0.25)
"""Share of the unblurred light that skin keeps."""
SKULL = (6.9, 0.2, 8.0)
"""In decimetres of the rest head: above the first and behind the second, or above the third, is the skull below the hair."""
TONE_CURVE, SRGB = make_tone_curve(), make_srgb_table()


class WorkArrays(threading.local):
    """Large work arrays of one thread, so that no picture pays for fresh memory; those of the last size alone are kept."""

    def __init__(self) -> None:
        self._arrays: dict[str, NDArray[Any]] = {}

    def get(self, name: str, shape: tuple[int, ...], dtype: DTypeLike = np.float32, fill: float | None = None) -> NDArray[Any]:
        """The array of this name and shape, filled with `fill` or with what the last picture left."""
        array = self._arrays.get(name)
        if array is None or array.shape != shape:
            array = self._arrays[name] = np.empty(shape, dtype)
        if fill is not None:
            array.fill(fill)
        return array


class Stopwatch:
    """Milliseconds of processor time of each stage of a picture."""

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}
        self._start = time.thread_time()

    def note(self, stage: str) -> None:
        """The time since the last note belongs to this stage."""
        now = time.thread_time()
        self.stages[stage] = (now - self._start) * 1e3
        self._start = now


WORK = WorkArrays()


def render(description: HeadDescription, size: int, stopwatch: Stopwatch | None = None) -> Image:
    """The picture (size, size, 3) of a description. Raises LiminalError for a size outside SIZES."""
    if isinstance(size, bool) or not isinstance(size, int | np.integer) or not SIZES[0] <= size <= SIZES[1]:
        raise LiminalError(f"A head cannot be drawn with {size} pixels; choose a whole number from {SIZES[0]} to {SIZES[1]}.")
    d, size = limit_description(description), int(size)
    watch = stopwatch or Stopwatch()
    geometry, zones, ball, mouth = load_geometry(), load_skin_zones(), load_eyeball(), load_mouth()
    samples = 2 * size
    # ---- geometry, paint, everything on the head, turned
    vertices = geometry.make_vertices(d)
    relax_skin(vertices)
    skin = vertices.skin
    skin += compute_normals(skin, geometry.quads) * zones.collar_push
    watch.note("geometry")
    attributes = paint_person(d)
    look = describe_skin(d, size)
    watch.note("paint")
    rotation = make_rotation(d.yaw, d.pitch, d.roll)
    hair = grow_hair(d, vertices, rotation, size)
    fine = [grow_brows(d, vertices, rotation, size), grow_lashes(d, vertices, rotation, size)]
    worn = dress(d, vertices, rotation)
    eyes = place_eyes(d, vertices, rotation)
    teeth = place_mouth(vertices, rotation)
    turn_points(skin, rotation, NECK, False)
    attributes[:, :3] = compute_normals(skin, geometry.quads)
    attributes[:, 3:6] = skin
    watch.note("strands, eyes, mouth")
    # ---- triangles
    middle = vertices.eye_centres.mean(0, keepdims=True).astype(np.float32)
    turn_points(middle, rotation, NECK, True)
    camera = place_camera(d, middle[0], size)
    depth = WORK.get("depth", (samples, samples), fill=1e9)
    ids = WORK.get("ids", (samples, samples), np.int32, fill=-1)
    weights = WORK.get("weights", (samples, samples, 2))
    quads = geometry.front_quads
    skin_triangles, eye_triangles = 2 * len(quads), 2 * len(ball.quads)
    inside = geometry.masks["inside_mouth"]
    buffers = (depth, ids, weights)
    rasterise_quads(_project(camera, skin, size), quads, *buffers, 0, False, inside, quads)
    eye_places = np.ascontiguousarray(eyes.attributes[:, 3:6])
    rasterise_quads(_project(camera, eye_places, size), ball.quads, *buffers, skin_triangles, False, inside, quads)
    teeth_places = np.ascontiguousarray(teeth[:, 3:6])
    rasterise_quads(
        _project(camera, teeth_places, size), mouth.quads, *buffers, skin_triangles + eye_triangles, True, inside, quads
    )
    watch.note("triangles")
    # ---- maps of the key light, occlusion
    lights = place_lights(d)
    shadow_map = WORK.get("shadow", (SHADOW_SIZE, SHADOW_SIZE), fill=1e9)
    in_light = project_to_light(skin, camera.centre, lights.axes, LIGHT_HALF, LIGHT_SCALE)
    rasterise_depth(in_light, zones.shadow_quads, shadow_map)
    density, nearest = _map_hair(hair, camera, lights, choose_detail(size))
    object_density, object_nearest = _map_objects(worn, camera, lights)
    open_sky = measure_occlusion(depth, np.float32(d.focal + 1.2), np.float32(size / 256))
    room = WORK.get("room", (ROOM_SIZE, ROOM_SIZE, 3))
    paint_room(d.background, d.background_blobs, geometry.noise, room)
    watch.note("shadow, occlusion, background")
    # ---- scalp hair into its own layer before shading: what it hides is not shaded
    cover = WORK.get("cover", (samples, samples), fill=0)
    layer = WORK.get("layer", (samples, samples, 3))  # read only where something covers, as its depth is
    layer_depth = WORK.get("layer depth", (samples, samples))
    scalp = [strands for strands in hair if strands.kind == "scalp"]
    others = [strands for strands in (*hair, *fine) if strands.kind != "scalp"]
    targets = (depth, cover, layer_depth)
    for strands in scalp:
        _draw(strands, camera, lights, nearest, shadow_map, d.framing, size, True, layer, *targets)
    watch.note("hair")
    # ---- shading
    albedo, gloss, light = (WORK.get(name, (samples, samples, 3)) for name in ("albedo", "gloss", "light"))
    skin_light = WORK.get("skin light", (3, size, size), fill=0)
    skin_weight = WORK.get("skin weight", (size, size), fill=0)
    whole = WORK.get("whole", (size, size), np.uint8, fill=0)
    shade_samples(
        *(ids, weights, depth, quads, skin_triangles, ball.quads, eye_triangles, mouth.quads),
        *(attributes, eyes.attributes, teeth, camera.place),
        *(lights.directions, lights.colours, lights.ambient, camera.centre, lights.axes, LIGHT_HALF, LIGHT_SCALE),
        *(shadow_map, nearest, density, object_nearest, object_density, lights.softness, open_sky),
        *(geometry.noise, geometry.wrinkles, geometry.wrinkles_low, geometry.wrinkles_scale),
        *(look.parameters, look.tints, look.brow, look.moles, eyes.parameters, eyes.lids),
        *(room, cover),
        *(albedo, gloss, light, skin_light, skin_weight, whole),
    )
    watch.note("shading")
    blurred = blur_skin_light(skin_light, skin_weight, SKIN_BLUR * np.float32(size / 256 * 1.1 / d.framing))
    image = gloss
    compose_samples(ids, skin_triangles, albedo, gloss, light, blurred, skin_weight, SKIN_DETAIL, whole, image)
    watch.note("below the skin")
    # ---- other strands, bytes
    if scalp:
        lay_over(layer, cover, layer_depth, image, depth)
    for strands in others:
        _draw(strands, camera, lights, nearest, shadow_map, d.framing, size, False, image, *targets)
    watch.note("brows, beard, lashes")
    if worn:
        hem = place_hem(d)
        for mesh in worn:  # three arrays are free again by now
            _draw_object(mesh, camera, lights, (shadow_map, nearest, density), hem, size, image, depth, (layer_depth, ids, weights))
        watch.note("accessories")
    out = np.empty((size, size, 3), np.uint8)
    resolve_bytes(image, choose_exposure(d), TONE_CURVE, SRGB, out)
    watch.note("bytes")
    return out


def draw_face_mask(description: HeadDescription, size: int) -> NDArray[np.bool_]:
    """Where a picture shows face and neck: skin below the hair line and above the collar, eyes and mouth -> (size, size).

    Hair, glasses and whatever else lies over the skin is not taken out.
    """
    d, geometry, zones = limit_description(description), load_geometry(), load_skin_zones()
    vertices = geometry.make_vertices(d)
    relax_skin(vertices)
    skin = vertices.skin
    skin += compute_normals(skin, geometry.quads) * zones.collar_push
    rotation = make_rotation(d.yaw, d.pitch, d.roll)
    turn_points(skin, rotation, NECK, False)
    middle = vertices.eye_centres.mean(0, keepdims=True).astype(np.float32)
    turn_points(middle, rotation, NECK, True)
    samples = 2 * size
    depth, ids = np.full((samples, samples), FAR, np.float32), np.full((samples, samples), -1, np.int32)
    quads = geometry.front_quads
    weights = np.empty((samples, samples, 2), np.float32)
    places = _project(place_camera(d, middle[0], size), skin, size)
    rasterise_quads(places, quads, depth, ids, weights, 0, False, geometry.masks["inside_mouth"], quads)
    _, y, z = geometry.rest.T
    covered = (zones.collar_push[:, 0] > 0) | ((y > SKULL[0]) & ((z < SKULL[1]) | (y > SKULL[2])))
    is_face = np.append(np.repeat(~covered[quads].any(axis=1), 2), False)  # a quad's two triangles; the last: nothing is there
    return np.asarray(is_face[ids].reshape(size, 2, size, 2).any(axis=(1, 3)))


def _project(camera: Camera, points: Floats, size: int) -> Floats:
    projected: Floats = project_points(points, camera.place, camera.axes, camera.scale, np.float32(size))
    return projected


def _map_hair(hair: list[StrandSet], camera: Camera, lights: Lights, detail: float) -> tuple[Floats, Floats]:
    """Density of hair and the depth of the nearest hair, both blurred, on the key light's map."""
    shape = (SHADOW_SIZE, SHADOW_SIZE)
    density = WORK.get("hair density", shape, fill=0)
    nearest = WORK.get("hair nearest", shape, fill=1e9)
    for strands in hair:
        splat_density(
            *(strands.points, strands.counts, strands.shown, strands.alpha, camera.centre, lights.axes, LIGHT_HALF, LIGHT_SCALE),
            *(np.float32(DENSITIES[strands.kind] / detail), density, nearest),
        )
    np.minimum(density, DENSEST, out=density)
    blur_box(density, density, 3)
    blur_box(density, density, 3)
    return density, spread_nearest(nearest, 3)


def _map_objects(worn: list[ObjectMesh], camera: Camera, lights: Lights) -> tuple[Floats, Floats]:
    """Density and nearest depth of what is worn on the key light's map; apart from the hair's, so that nothing pops."""
    shape = (SHADOW_SIZE, SHADOW_SIZE)
    density = WORK.get("object density", shape, fill=0)
    nearest = WORK.get("object nearest", shape, fill=float(FAR))
    for mesh in worn:
        if len(mesh.shade_points):
            points = mesh.shade_points[:, None]
            one = np.ones(len(points), np.int32)
            splat_density(
                *(points, one, np.ones(points.shape[:2], np.float32), mesh.shade_weights, camera.centre, lights.axes),
                *(LIGHT_HALF, LIGHT_SCALE, np.float32(OBJECT_DENSITY), density, nearest),
            )
    if worn:
        blur_box(density, density, 1)
        nearest = spread_nearest(nearest, 2)
    return density, nearest


def _draw_object(
    mesh: ObjectMesh,
    camera: Camera,
    lights: Lights,
    maps: tuple[Floats, Floats, Floats],
    hem: Floats,
    size: int,
    image: Floats,
    depth: Floats,
    buffers: tuple[Floats, Integers, Floats],
) -> None:
    """Draw one worn thing over the image.

    maps: shadow map, depth of the nearest hair, hair density; buffers: depth, ids and weights that are written over.
    """
    samples = 2 * size
    screen = _project(camera, np.ascontiguousarray(mesh.attributes[:, 3:6]), size)
    edges = np.nan_to_num(screen[:, [1, 0]])  # places torn by impossible values are drawn nowhere
    low = np.clip(np.floor(edges.min(0)), 0, samples - 1).astype(np.int32)
    high = np.clip(np.ceil(edges.max(0)), 0, samples - 1).astype(np.int32)
    object_depth, ids, weights = buffers
    area = (slice(low[0], high[0] + 1), slice(low[1], high[1] + 1))
    object_depth[area], ids[area] = FAR, -1
    inside = np.zeros(1, np.float32)
    rasterise_quads(screen, mesh.quads, object_depth, ids, weights, 0, False, inside, mesh.quads)
    shade_objects(
        *(ids, weights, object_depth, mesh.quads, mesh.attributes, np.array([low[0], high[0], low[1], high[1]], np.int32)),
        *(camera.place, lights.directions, lights.colours, lights.ambient, camera.centre, lights.axes, LIGHT_HALF, LIGHT_SCALE),
        *(*maps, lights.softness, hem, depth, image),
    )


def _draw(
    strands: StrandSet,
    camera: Camera,
    lights: Lights,
    nearest: Floats,
    shadow_map: Floats,
    framing: float,
    size: int,
    front_to_back: bool,
    image: Floats,
    depth: Floats,
    cover: Floats,
    layer_depth: Floats,
) -> None:
    """Draw one set of strands into the layer, nearest first, or over the image."""
    points = strands.points
    if not len(points):
        return
    screen = _project(camera, points.reshape(-1, 3), size).reshape(points.shape)
    bias = np.float32(0.02 if front_to_back else 0.015)
    if front_to_back:
        order = find_seen(screen, strands.counts, depth, bias)
        # by the depth of the middle point, then by number: one whole number of both sorts twice as fast as a stable argsort
        middle = screen[order, strands.counts[order] // 2, 2].view(np.uint32).astype(np.uint64)
        order = (np.sort(middle << np.uint64(32) | order.astype(np.uint64)) & np.uint64(0xFFFFFFFF)).astype(np.int32)
    else:
        order = np.arange(len(points), dtype=np.int32)
    width = max(0.6, strands.radius * 2 * size / framing)
    style = np.array([width, bias, *STRAND_LOOKS[strands.kind], 0.30], np.float32)
    draw_strands(
        *(points, screen, strands.counts, order, strands.shown, strands.alpha, strands.tone, strands.thickness),
        *(strands.colours, style, lights.directions, lights.colours, (lights.ambient * 0.6).astype(np.float32), camera.place),
        *(camera.centre, lights.axes, LIGHT_HALF, LIGHT_SCALE, nearest, shadow_map),
        *(front_to_back, image, depth, cover, layer_depth),
    )
