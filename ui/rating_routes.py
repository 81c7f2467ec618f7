"""The addresses that a rater's browser talks to: answers in, the study's pictures out. Everything blocking runs in threads."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from core.errors import LiminalError
from core.studies.ratings import Rating, TakenId

MOST_BYTES = 256 * 1024
MOST_ANSWERS = 200
MOST_PRESENTED = 4096  # characters of JSON on how one trial was shown
LONGEST_REACTION_MS = 24 * 3600 * 1000.0

logger = logging.getLogger(__name__)


class Refusal(Exception):  # noqa: N818 (an answer to the browser, with its status)
    """Why a request is not served."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def routes() -> list[BaseRoute]:
    """Answers and pictures of studies."""
    return [
        Route("/studies/answers", answers, methods=["POST"]),
        Route("/studies/{token}/images/{sample_id}", image, methods=["GET"]),
    ]


async def answers(request: Request) -> Response:
    """{code, answers: [...]} -> {acknowledged: [rating_id, ...]} once they are on the disk, else {error: sentence}."""
    try:
        _same_origin(request)
        body = await _body(request)
        acknowledged = await run_in_threadpool(save, body)
    except Refusal as refusal:
        return JSONResponse({"error": str(refusal)}, refusal.status)
    except Exception:
        logger.exception("Answers could not be saved")
        return JSONResponse({"error": "The server could not save this answer; it is sent again by itself."}, 500)
    return JSONResponse({"acknowledged": acknowledged}, headers={"Cache-Control": "no-store"})


def save(body: bytes) -> list[str]:
    """The bytes of a request -> acknowledged ids. Raises Refusal."""
    from ui.studies import access

    code, rows = _parsed(body)
    try:
        place = access.place_of(code)
    except LiminalError as error:
        raise Refusal(_reachable(503, 404), str(error)) from error
    ratings = [_rating(row, place) for row in rows]
    try:
        return access.store().save(ratings)
    except LiminalError as error:
        raise Refusal(422 if isinstance(error, TakenId) else _why_not(code), str(error)) from error


def _reachable(no: int, yes: int) -> int:
    """``yes`` where the store answers at all: then it was the request's fault."""
    from ui.studies import access

    try:
        access.store().studies()
    except LiminalError:
        return no
    return yes


def _why_not(code: str) -> int:
    """The status of a refused save: nobody of that code any more, a closed study, or a store that should be tried again."""
    from ui.studies import access

    try:
        rater = access.store().rater(code)
        study = access.store().study(rater.study)
    except LiminalError:
        return _reachable(503, 404)
    return 409 if study.closed or study.published or study.source != "human" else 503


def _same_origin(request: Request) -> None:
    """Only the study's own page sends answers: browsers name the page's origin with every such request."""
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    if site is not None:  # a proxy may change the host, not this
        own = site in ("same-origin", "none")
    else:
        own = origin is None or urlsplit(origin).netloc == request.headers.get("host", "")
    if not own:
        raise Refusal(403, "Answers are taken from the study's own page only.")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refusal(415, "Answers are sent as application/json.")


async def _body(request: Request) -> bytes:
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > MOST_BYTES:
            raise Refusal(413, f"A request holds at most {MOST_BYTES // 1024} KB of answers; send fewer at once.")
    return bytes(content)


def _parsed(body: bytes) -> tuple[str, list[dict[str, Any]]]:
    try:
        record = json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise Refusal(400, "The request is not JSON; send {code, answers}.") from None
    if not isinstance(record, dict) or not isinstance(record.get("code"), str) or not isinstance(record.get("answers"), list):
        raise Refusal(400, "The request lacks its code or its list of answers; send {code, answers}.")
    rows = record["answers"]
    if not 1 <= len(rows) <= MOST_ANSWERS or not all(isinstance(row, dict) for row in rows):
        raise Refusal(400, f"A request holds 1 to {MOST_ANSWERS} answers, each an object.")
    return record["code"], rows


def _no_number(name: str) -> None:
    raise ValueError(name)


FIELDS: dict[str, tuple[type, ...]] = {
    "rating_id": (str,),
    "stimulus": (str,),
    "task": (str,),
    "value": (str, int, float),
    "reaction_time_ms": (int, float, type(None)),
    "presented": (dict,),
    "created_at": (str,),
}
"""What an answer consists of. Whose it is, its place and whether it is an attention check the server knows itself."""


def _rating(row: dict[str, Any], place: Any) -> Rating:
    from ui.studies.access import TASKS

    unknown = sorted(set(row) - set(FIELDS))
    if unknown:
        raise Refusal(400, f"An answer has no field '{unknown[0][:40]}'.")
    for name, kinds in FIELDS.items():
        if name not in row or not isinstance(row[name], kinds) or isinstance(row[name], bool):
            raise Refusal(400, f"An answer's field '{name}' is missing or of the wrong kind.")
    if row["stimulus"] not in place.stimuli or row["task"] not in TASKS[place.study.plan.kind]:
        raise Refusal(400, "This question was not asked of this person; open the study's link again.")
    if row["reaction_time_ms"] is not None and not 0 <= row["reaction_time_ms"] <= LONGEST_REACTION_MS:
        raise Refusal(400, "A reaction time is from 0 ms to a day.")
    if len(json.dumps(row["presented"])) > MOST_PRESENTED:
        raise Refusal(400, "The record of how a trial was shown is too long.")
    trial, sentinel = place.stimuli[row["stimulus"]]
    try:
        return Rating(
            study=place.study.name,
            rater=place.rater.rater,
            session=str(row["presented"].get("session", ""))[:64],
            trial=trial,
            stimulus=row["stimulus"],
            task=row["task"],
            value=row["value"],
            reaction_time_ms=None if row["reaction_time_ms"] is None else float(row["reaction_time_ms"]),
            is_sentinel=sentinel,
            source="human",
            presented=row["presented"],
            rating_id=row["rating_id"],
            created_at=_moment(row["created_at"]),
        )
    except LiminalError as error:
        raise Refusal(400, str(error)) from error


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Refusal(400, "An answer's time is an ISO date with its time zone.") from None
    if moment.tzinfo is None:
        raise Refusal(400, "An answer's time is an ISO date with its time zone.")
    return moment.astimezone(UTC)


async def image(request: Request) -> Response:
    """A picture of a study by the link's secret and the sample's id."""
    from ui.studies import access

    try:
        content, kind = await run_in_threadpool(access.picture, request.path_params["token"], request.path_params["sample_id"])
    except LiminalError as error:
        return PlainTextResponse(str(error), 404)
    headers = {
        "Cache-Control": "private, max-age=31536000, immutable",  # a sample's id is the hash of its pixels
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    return Response(content, media_type=kind, headers=headers)
