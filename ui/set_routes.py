"""Pictures of the library's sample sets, for the pages that look at whole sets. An id is a hash: a picture never changes."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from core.errors import LiminalError

FOREVER = "public, max-age=31536000, immutable"


def routes() -> list[BaseRoute]:
    """One address a picture."""
    return [Route("/sets/{set_id}/images/{sample_id}", image, methods=["GET"])]


def address(set_id: str, sample_id: str) -> str:
    """Where a picture of the library is."""
    return f"/sets/{set_id}/images/{sample_id}"


async def image(request: Request) -> Response:
    """The stored file's bytes."""
    from ui.studies import access

    set_id, sample_id = request.path_params["set_id"], request.path_params["sample_id"]
    try:
        content, media_type = await run_in_threadpool(lambda: access.library().picture(set_id, sample_id))
    except LiminalError as error:
        return PlainTextResponse(str(error), 404)
    return Response(content, media_type=media_type, headers={"Cache-Control": FOREVER})
