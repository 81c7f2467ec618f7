"""The HTTP server around the pages: pictures, map points, raters' answers, static files, headers, and uploads kept in memory.

Every address of a picture or of map points holds a hash of the content, so that the browser may cache it for ever. Answers are
acknowledged only once they are on the disk. Everything that blocks runs in threads. Uploads never touch the disk
(``keep_uploads_in_memory``).
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.formparsers import MultiPartParser
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.file_util import get_static_dir
from streamlit.runtime import Runtime

from core.errors import LiminalError
from core.studies.ratings import Rating, TakenId
from core.studies.words import load_words
from ui import ASSETS, jobs, pictures
from ui.jobs import get_job_manager
from ui.navigation import FIRST_PAGE_PAINTED, LINKED_PAGES, MAIN_PAGES
from ui.studies import access

MAX_REQUEST_BYTES = 256 * 1024
MAX_ANSWERS = 200
MAX_PRESENTED_LENGTH = 4096  # characters of JSON on how one trial was shown
MAX_REACTION_MS = 24 * 3600 * 1000.0

logger = logging.getLogger(__name__)


class RequestRefused(Exception):  # noqa: N818 (an answer to the browser, with its status)
    """Why a request is not served."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def list_rating_routes() -> list[BaseRoute]:
    """Answers and pictures of studies."""
    return [
        Route("/studies/answers", receive_answers, methods=["POST"]),
        Route("/studies/{token}/images/{sample_id}", serve_stimulus, methods=["GET"]),
    ]


async def receive_answers(request: Request) -> Response:
    """{code, answers: [...]} -> {acknowledged: [rating_id, ...]} once they are on the disk, else {error: sentence}."""
    try:
        _check_origin(request)
        body = await _read_body(request)
        acknowledged = await run_in_threadpool(save_answers, body)
    except RequestRefused as refusal:
        return JSONResponse({"error": str(refusal)}, refusal.status)
    except Exception:
        logger.exception("Answers could not be saved")
        return JSONResponse({"error": SAVE_LATER}, 500)
    return JSONResponse({"acknowledged": acknowledged}, headers={"Cache-Control": "no-store"})


def save_answers(body: bytes) -> list[str]:
    """The bytes of a request -> acknowledged ids. Raises RequestRefused."""
    code, rows = _parse_body(body)
    try:
        assignment = access.find_assignment(code)
    except LiminalError as error:
        raise RequestRefused(_status_by_store(503, 404), str(error)) from error
    ratings = [_build_rating(row, assignment) for row in rows]
    try:
        return access.get_store().save(ratings)
    except TakenId as error:
        raise RequestRefused(422, str(error)) from error
    except LiminalError as error:
        status = _status_of_refused_save(code)
        sentence = load_words("en").say(f"block.refused.{status}") if status in REFUSED_SAVES else SAVE_LATER
        raise RequestRefused(status, sentence) from error


SAVE_LATER = "The server could not save this answer; it is sent again by itself."
REFUSED_SAVES = (404, 409, 410)
"""Statuses that raters read about in their own words. The store's sentences name the study as its owner does, which is nobody
else's business."""


def _status_by_store(unavailable: int, available: int) -> int:
    """``available`` where the store answers at all, so that the fault is the request's; else ``unavailable``."""
    try:
        access.get_store().studies()
    except LiminalError:
        return unavailable
    return available


def _status_of_refused_save(code: str) -> int:
    """The status of a refused save: 404 without a rater of that code, 409 where no more are taken, 410 where the place was handed
    out again, 503 to be tried again."""
    try:
        rater = access.get_store().rater(code)
        study = access.get_store().study(rater.study)
    except LiminalError:
        return _status_by_store(503, 404)
    if rater.screened_out_at is not None or study.closed or not study.asks_people:
        return 409
    return 410 if rater.released_at is not None else 503


def _check_origin(request: Request) -> None:
    """Only the study's own page sends answers: browsers name the page's origin with every such request."""
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    if site is not None:  # a proxy may change the host, not this
        same_origin = site in ("same-origin", "none")
    else:
        same_origin = origin is None or urlsplit(origin).netloc == request.headers.get("host", "")
    if not same_origin:
        raise RequestRefused(403, "Answers are taken from the study's own page only.")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise RequestRefused(415, "Answers are sent as application/json.")


async def _read_body(request: Request) -> bytes:
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > MAX_REQUEST_BYTES:
            raise RequestRefused(413, f"A request holds at most {MAX_REQUEST_BYTES // 1024} KB of answers; send fewer at once.")
    return bytes(content)


def _parse_body(body: bytes) -> tuple[str, list[dict[str, Any]]]:
    try:
        record = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise RequestRefused(400, "The request is not JSON; send {code, answers}.") from None
    if not isinstance(record, dict) or not isinstance(record.get("code"), str) or not isinstance(record.get("answers"), list):
        raise RequestRefused(400, "The request lacks its code or its list of answers; send {code, answers}.")
    rows = record["answers"]
    if not 1 <= len(rows) <= MAX_ANSWERS or not all(isinstance(row, dict) for row in rows):
        raise RequestRefused(400, f"A request holds 1 to {MAX_ANSWERS} answers, each an object.")
    return record["code"], rows


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


ANSWER_FIELDS: dict[str, tuple[type, ...]] = {
    "rating_id": (str,),
    "stimulus": (str,),
    "task": (str,),
    "value": (str, int, float),
    "reaction_time_ms": (int, float, type(None)),
    "presented": (dict,),
    "created_at": (str,),
}
"""An answer's fields and their types. Its rater, its trial and whether it is an attention check, the server looks up itself."""


def _build_rating(row: dict[str, Any], assignment: access.RaterAssignment) -> Rating:
    """The answer that a request sends. The size and form of the request are checked here, the answer itself by ``Rating``."""
    unknown = sorted(set(row) - set(ANSWER_FIELDS))
    if unknown:
        raise RequestRefused(400, f"An answer has no field '{unknown[0][:40]}'.")
    for name, kinds in ANSWER_FIELDS.items():
        if name not in row or not isinstance(row[name], kinds) or isinstance(row[name], bool):
            raise RequestRefused(400, f"An answer's field '{name}' is missing or of the wrong kind.")
    if row["stimulus"] not in assignment.stimuli or row["task"] not in assignment.study.plan.tasks:
        raise RequestRefused(400, "This question was not asked of this person; open the study's link again.")
    if (row["reaction_time_ms"] or 0) > MAX_REACTION_MS:
        raise RequestRefused(400, "A reaction time is at most a day.")
    if len(json.dumps(row["presented"])) > MAX_PRESENTED_LENGTH:
        raise RequestRefused(400, "The record of how a trial was shown is too long.")
    trial, sentinel = assignment.stimuli[row["stimulus"]]
    try:
        return Rating(
            study=assignment.study.name,
            rater=assignment.rater.rater,
            session=str(row["presented"].get("session", ""))[:64],
            trial=trial,
            stimulus=row["stimulus"],
            task=row["task"],
            value=assignment.study.plan.check_answer(row["task"], row["value"]),
            reaction_time_ms=None if row["reaction_time_ms"] is None else float(row["reaction_time_ms"]),
            is_sentinel=sentinel,
            source="human",
            presented=row["presented"],
            rating_id=row["rating_id"],
            created_at=_parse_time(row["created_at"]),
        )
    except LiminalError as error:
        raise RequestRefused(400, str(error)) from error


def _parse_time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise RequestRefused(400, "An answer's time is an ISO date with its time zone.") from None
    if moment.tzinfo is None:
        raise RequestRefused(400, "An answer's time is an ISO date with its time zone.")
    return moment.astimezone(UTC)


async def serve_stimulus(request: Request) -> Response:
    """A picture of a study by the link's secret and the sample's id."""
    try:
        content, kind = await run_in_threadpool(access.read_picture, request.path_params["token"], request.path_params["sample_id"])
    except LiminalError as error:
        return PlainTextResponse(str(error), 404)
    headers = {
        "Cache-Control": "private, max-age=31536000, immutable",  # a sample's id is the hash of its pixels
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    return Response(content, media_type=kind, headers=headers)


CACHE_FOREVER = "public, max-age=31536000, immutable"


def list_sample_set_routes() -> list[BaseRoute]:
    """Pictures of sample sets, and points of maps."""
    return [
        Route("/sets/{set_id}/images/{sample_id}", serve_sample, methods=["GET"]),
        Route("/points/{key}", serve_points, methods=["GET"]),
    ]


async def serve_points(request: Request) -> Response:
    """Positions and colours of a map's faces, by the hash of the bytes."""
    content = pictures.POINTS.get(request.path_params["key"])
    if content is None:
        return PlainTextResponse("These points are no longer kept; reload the page.", 404)
    return Response(content, media_type="application/octet-stream", headers={"Cache-Control": CACHE_FOREVER})


async def serve_sample(request: Request) -> Response:
    """A picture of a stored sample set."""
    set_id, sample_id = request.path_params["set_id"], request.path_params["sample_id"]
    try:
        content, media_type = await run_in_threadpool(lambda: access.get_library().picture(set_id, sample_id))
    except LiminalError as error:
        return PlainTextResponse(str(error), 404)
    # nobody between keeps them: pictures that somebody brought along may show real people
    return Response(content, media_type=media_type, headers={"Cache-Control": CACHE_FOREVER.replace("public", "private")})


MEGABYTE = 1024 * 1024
CLOSING_SECONDS = 2.0
"""How long work that still runs is waited for when the server is asked to end."""
EXPIRY_SECONDS = 30.0


def keep_uploads_in_memory() -> None:
    """Starlette writes uploads above 1 MB to a temporary file; photos of users must never reach the disk."""
    MultiPartParser.spool_max_size = (int(st.get_option("server.maxUploadSize")) + 1) * MEGABYTE


def stop_work() -> None:
    """Cancel what waits for a network and stop all jobs, so that a process that is asked to end does so within seconds."""
    if "core.models.engine" in sys.modules:  # else no network was ever asked, and torch is not worth loading for this
        find_engine = getattr(sys.modules["core.models.engine"], "get_engine", None)  # None: its import has only begun
        if find_engine is not None:
            find_engine().close(CLOSING_SECONDS / 2)
    get_job_manager().close(CLOSING_SECONDS)


async def expire_sessions() -> None:
    """Every EXPIRY_SECONDS drop what visitors have left behind: sessions, which may hold photos, and results made for them."""
    while True:
        await asyncio.sleep(EXPIRY_SECONDS)
        get_job_manager().forget_finished()
        if Runtime.exists() and jobs.end_expired_sessions(Runtime.instance()):
            await asyncio.to_thread(gc.collect)  # a session's parts refer to each other


PRELOADED_MODULES = (
    "scipy.sparse",
    "scipy.stats",
    "statsmodels.stats.proportion",
    "statsmodels.stats.multitest",
    "sklearn.metrics",
    "plotly.graph_objects",
    "core.analysis.study_data",
    "core.figures.contents",
    "core.figures.compare",
    "core.figures.alignment",
    "core.figures.identity_alignment",
    "core.alignment.alignment",
    "core.alignment.personal",
    "ui.analysis.map_page",
    "ui.alignment.align_page",
)
"""What pages of analysis import: a second and a half of work. PyTorch is not among them."""
PRELOAD_TRIES, PRELOAD_PAUSE = 4, 2.0
"""How often a module is tried, and the seconds in between; a page that needs it imports it then."""
PRELOAD_SECONDS = 5.0
"""Where nobody opens a page for so long after the start, loading begins all the same."""


def preload_libraries(ending: threading.Event) -> None:
    """Unpack the demonstration and import what pages of analysis need, once the first page has been painted.

    Runs in a thread of its own; ``ending`` stops it between two modules. A page that is opened meanwhile imports as ever.
    """
    FIRST_PAGE_PAINTED.wait(PRELOAD_SECONDS)
    if not ending.is_set():
        access.unpack_demonstration()
    for name in PRELOADED_MODULES:
        for _ in range(PRELOAD_TRIES):
            if ending.is_set():
                return
            try:
                import_module(name)
                break
            except (AttributeError, ImportError):  # SciPy looks into PyTorch, which a job may be half-way through importing
                ending.wait(PRELOAD_PAUSE)


@asynccontextmanager
async def lifespan(_: Any) -> AsyncIterator[dict[str, Any]]:
    """Before the first request: uploads stay in memory. After the last: what still runs is stopped, and waited for shortly."""
    keep_uploads_in_memory()
    expiring = asyncio.create_task(expire_sessions())
    ending = threading.Event()
    threading.Thread(target=preload_libraries, args=(ending,), name="preload", daemon=True).start()
    yield {}
    ending.set()
    expiring.cancel()
    stop_work()


async def serve_face(request: Request) -> Response:
    """A generated face by the hash of its bytes."""
    picture = pictures.PICTURES.get(request.path_params["key"])
    if picture is None:
        return Response("This picture is no longer kept; reload the page to make it again.", status_code=404)
    return Response(picture, media_type="image/webp", headers={"Cache-Control": CACHE_FOREVER})


HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"SAMEORIGIN",  # nobody lays our buttons under pages of theirs
    b"referrer-policy": b"same-origin",  # addresses hold secrets of studies and of raters
}


class SafeHeaders:
    """Adds HEADERS to every response, but for those that it sets itself."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message.get("headers", ())}
                added = [item for item in HEADERS.items() if item[0] not in present]
                message = {**message, "headers": [*message.get("headers", ()), *added]}
            await send(message)

        await self.app(scope, receive, sending)


class CachedStaticFiles(StaticFiles):
    """assets/ with a day of caching."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "public, max-age=86400"
        return response


HISTORY_SCRIPT = """<script>
(() => {
  const push = history.pushState.bind(history);
  let began = true;
  for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, () => { began = false; }, true);
  history.pushState = (state, title, url) => {
    const same = new URL(url ?? location.href, location.href).pathname === location.pathname;
    if (same && began) return history.replaceState(state, title, url);
    if (!same) began = true;
    push(state, title, url);
  };
  addEventListener("click", (event) => {
    const link = event.defaultPrevented && event.target.closest?.('[data-testid="stPageLink-NavLink"]');
    if (link && link.pathname === location.pathname && link.search !== location.search) push({}, "", link.href);
  });
})();
</script>"""
"""What a page adds to its address when it is opened, such as the study that it shows, is no further step of the visitor's.

A link to another view of the same page, such as a study's card, is one: Streamlit shows the view and leaves the address as it was.
"""

BASE_SCRIPT = "<script>window.__streamlit = {BACKEND_BASE_URL: new URL('.', window.location.href).href}</script>"
"""Tells Streamlit's front end where the server is: in the folder of the page's address.

Without it the front end asks for ``/<page>/_stcore/health`` first, and the browser logs a 404 on every link to a page.
"""


PRESENT_SCRIPT = """<script>
if (new URLSearchParams(location.search).get("present") === "1" || sessionStorage.getItem("liminal.presenting") === "1")
  document.documentElement.dataset.present = "1";
</script>"""
"""The view for an audience is laid out from the first paint; ``present.js``, which comes last, goes on from there."""


FIRST_STYLE = "html { font-size: 17px; }"
"""The theme's own font size, which Streamlit's front end learns only once it is connected: all lengths in rem would jump then."""


FIRST_SCRIPTS = ("Html", "PageLink", "BidiComponent", "StreamlitMarkdown", "ButtonGroup", "BaseButton", "Button", "Selectbox")
"""Streamlit's own files for what every page begins with; until one is there, a bar of another size stands in its place."""


def _read_first_head() -> str:
    """What stands first in a page's head: ``BASE_SCRIPT``, both fonts, and the style that the page brings once more when it runs.

    A style that comes with the page alone moves everything that is there before it.
    """
    folder = Path(get_static_dir()) / "static" / "js"
    files = sorted(path.name for name in FIRST_SCRIPTS for path in folder.glob(f"{name}.*.js"))
    scripts = "".join(f'<link rel="modulepreload" crossorigin href="./static/js/{name}">' for name in files)
    fonts = "".join(
        f'<link rel="preload" href="/assets/fonts/{name}.woff2" as="font" type="font/woff2" crossorigin>'
        for name in ("instrument-sans", "newsreader")
    )
    style = FIRST_STYLE + (ASSETS / "style.css").read_text("utf-8")
    return f"{BASE_SCRIPT}{HISTORY_SCRIPT}{PRESENT_SCRIPT}{fonts}{scripts}<style>{style}</style>"


async def serve_page(_: Request) -> Response:
    """Streamlit's own start page, with ``_read_first_head`` before its own scripts and styles."""
    start_page = await run_in_threadpool((Path(get_static_dir()) / "index.html").read_text, "utf-8")
    head = await run_in_threadpool(_read_first_head)
    return HTMLResponse(start_page.replace("<head>", f"<head>{head}", 1), headers={"Cache-Control": "no-cache"})


def middleware() -> list[Middleware]:
    """What is wrapped around every request."""
    return [Middleware(SafeHeaders)]


def routes() -> list[BaseRoute]:
    """The app's own addresses beside Streamlit's."""
    return [
        Route("/faces/{key}.webp", serve_face),
        *list_rating_routes(),
        *list_sample_set_routes(),
        Mount("/assets", CachedStaticFiles(directory=ASSETS)),
        *(Route(f"/{page.url}", serve_page) for page in (*MAIN_PAGES, *LINKED_PAGES)),
    ]
