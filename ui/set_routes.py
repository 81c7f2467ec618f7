"""Pictures of the library's sample sets and the points of maps, for pages that look at whole sets.

Every address holds a hash of what is there, so that it never changes and the browser may keep it.
"""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from core.errors import LiminalError
from ui.images import PictureStore, content_hash

POINTS = PictureStore(64)
"""Places and colours of maps by content hash, about 2 MB each for a hundred thousand faces."""
FOREVER = "public, max-age=31536000, immutable"


def routes() -> list[BaseRoute]:
    """Pictures and points."""
    return [
        Route("/sets/{set_id}/images/{sample_id}", image, methods=["GET"]),
        Route("/points/{key}", points, methods=["GET"]),
    ]


def address(set_id: str, sample_id: str) -> str:
    """Where a picture of the library is."""
    return f"/sets/{set_id}/images/{sample_id}"


def points_url(content: bytes) -> str:
    """Address of numbers for a map on this server."""
    key = content_hash(content)
    POINTS.put(key, content)
    return f"/points/{key}"


async def points(request: Request) -> Response:
    """Numbers of a map."""
    content = POINTS.get(request.path_params["key"])
    if content is None:
        return PlainTextResponse("These points are no longer kept; reload the page.", 404)
    return Response(content, media_type="application/octet-stream", headers={"Cache-Control": FOREVER})


async def image(request: Request) -> Response:
    """The stored file's bytes."""
    from ui.studies import access

    set_id, sample_id = request.path_params["set_id"], request.path_params["sample_id"]
    try:
        content, media_type = await run_in_threadpool(lambda: access.library().picture(set_id, sample_id))
    except LiminalError as error:
        return PlainTextResponse(str(error), 404)
    return Response(content, media_type=media_type, headers={"Cache-Control": FOREVER})
