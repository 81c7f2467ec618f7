"""The server around the pages: own routes for pictures and files, and uploads that never touch the disk."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import streamlit as st
from starlette.formparsers import MultiPartParser
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.runtime import Runtime

from ui import rating_routes, set_routes, visitors
from ui.images import STORE
from ui.jobs import manager
from ui.paths import ASSETS

FOREVER = "public, max-age=31536000, immutable"
MEGABYTE = 1024 * 1024
CLOSING_SECONDS = 2.0
"""What still runs may take so long to end when the server is asked to."""
TIDY_SECONDS = 30.0


def keep_uploads_in_memory() -> None:
    """Starlette writes uploads above 1 MB to a temporary file; photos of users must never reach the disk."""
    MultiPartParser.spool_max_size = (int(st.get_option("server.maxUploadSize")) + 1) * MEGABYTE


def stop_work() -> None:
    """Whoever waits for a network is told, and jobs end; a process that is asked to stop does so within seconds."""
    if "core.models.engine" in sys.modules:  # else no network was ever asked, and torch is not worth loading for this
        sys.modules["core.models.engine"].engine().close(CLOSING_SECONDS / 2)
    manager().close(CLOSING_SECONDS)


async def tidy() -> None:
    """Now and then let go of what visitors have left behind: their sessions, with photos in them, and what was made for them."""
    while True:
        await asyncio.sleep(TIDY_SECONDS)
        manager().forget_finished()
        if Runtime.exists() and visitors.end_sessions(Runtime.instance()):
            await asyncio.to_thread(gc.collect)  # a session's parts refer to each other


@asynccontextmanager
async def lifespan(_: Any) -> AsyncIterator[dict[str, Any]]:
    """Before the first request: uploads stay in memory. After the last: what still runs is told to stop, and waited for shortly."""
    keep_uploads_in_memory()
    tidying = asyncio.create_task(tidy())
    yield {}
    tidying.cancel()
    stop_work()


async def face(request: Request) -> Response:
    """A generated face by the hash of its bytes."""
    picture = STORE.get(request.path_params["key"])
    if picture is None:
        return Response("This picture is no longer kept; reload the page to make it again.", status_code=404)
    return Response(picture, media_type="image/webp", headers={"Cache-Control": FOREVER})


HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"SAMEORIGIN",  # nobody lays our buttons under pages of theirs
    b"referrer-policy": b"same-origin",  # addresses hold secrets of studies and of raters
}


class SafeHeaders:
    """Adds HEADERS to every answer that has not said otherwise."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                said = {name.lower() for name, _ in message.get("headers", ())}
                added = [item for item in HEADERS.items() if item[0] not in said]
                message = {**message, "headers": [*message.get("headers", ()), *added]}
            await send(message)

        await self.app(scope, receive, sending)


class Assets(StaticFiles):
    """assets/ with a day of caching."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "public, max-age=86400"
        return response


def middleware() -> list[Middleware]:
    """What stands around every request."""
    return [Middleware(SafeHeaders)]


def routes() -> list[BaseRoute]:
    """The app's own addresses beside Streamlit's."""
    return [
        Route("/faces/{key}.webp", face),
        *rating_routes.routes(),
        *set_routes.routes(),
        Mount("/assets", Assets(directory=ASSETS)),
    ]
