"""One visitor of the app over Streamlit's own protocol: a websocket, and the messages that a browser sends and gets."""

from __future__ import annotations

import asyncio
import collections
import http.client
import json
import time
from dataclasses import dataclass, field
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

PATIENCE = 60.0
"""Seconds until a visitor gives up."""

EVENTS = "$$STREAMLIT_INTERNAL_KEY_{}__events"


@dataclass
class Answer:
    """What came back for one click: seconds until the script had finished, errors that the page shows, and the page's words."""

    seconds: float
    errors: list[str]
    text: str


@dataclass
class Visitor:
    """A browser tab without a browser. ``port``: of a server on loopback."""

    port: int
    page: str = "phone"
    query: str = ""
    socket: ClientConnection | None = None
    components: dict[str, str] = field(default_factory=dict)
    """Of the page's own components: the key's name -> id."""
    component_json: dict[str, Any] = field(default_factory=dict)
    messages: dict[str, ForwardMsg] = field(default_factory=dict)
    page_hash: str = ""
    last: collections.deque[str] = field(default_factory=lambda: collections.deque(maxlen=6))
    fragments: set[str] = field(default_factory=set)

    async def enter(self) -> Answer:
        """Open the tab, as the very first request."""
        self.socket = await connect(
            f"ws://127.0.0.1:{self.port}/_stcore/stream", subprotocols=["streamlit"], max_size=None, ping_interval=None
        )
        return await self.run()

    async def leave(self) -> None:
        """Close the tab."""
        if self.socket is not None:
            await self.socket.close()
            self.socket = None

    async def pick(self, key: str, value: str) -> Answer:
        """Press something in a component: its ``picked``."""
        payload = json.dumps([{"event": "picked", "value": value}])
        return await self.run({EVENTS.format(self.components[key]): payload})

    async def run(self, triggers: dict[str, str] | None = None, fragment: str = "") -> Answer:
        """Ask the server to run the page, and read until it has."""
        assert self.socket is not None
        message = BackMsg()
        state = message.rerun_script
        state.query_string = self.query
        state.page_name = "" if self.page_hash else self.page
        state.page_script_hash = self.page_hash
        state.fragment_id = fragment
        state.is_auto_rerun = bool(fragment)
        for widget, payload in (triggers or {}).items():
            one = state.widget_states.widgets.add()
            one.id, one.json_trigger_value = widget, payload
        began = time.perf_counter()
        await self.socket.send(message.SerializeToString())
        try:
            return await asyncio.wait_for(self._read(began, whole=not fragment), PATIENCE)
        except TimeoutError:
            what = "a look at running work" if fragment else "a click" if triggers else "the page"
            raise TimeoutError(f"{self.page}: no answer to {what}; the last messages were {list(self.last)}") from None

    async def _read(self, began: float, *, whole: bool) -> Answer:
        assert self.socket is not None
        errors: list[str] = []
        texts: list[str] = []
        while True:
            raw = await self.socket.recv()
            message = ForwardMsg()
            message.ParseFromString(raw if isinstance(raw, bytes) else raw.encode())
            kind = message.WhichOneof("type")
            self.last.append(kind)
            if kind == "ref_hash":
                message = self.messages[message.ref_hash]
                kind = message.WhichOneof("type")
            elif message.hash:
                self.messages[message.hash] = message
            if kind == "new_session":
                if whole:
                    self.fragments.clear()  # a whole run says anew what is to be polled
                whole = True  # what follows a fragment in the same answer is a whole run that it asked for
                self.page_hash = message.new_session.page_script_hash
            elif kind == "navigation":
                self.page_hash = message.navigation.page_script_hash
            elif kind == "page_info_changed":
                self.query = message.page_info_changed.query_string
            elif kind == "auto_rerun":
                self.fragments.add(message.auto_rerun.fragment_id)
            elif kind == "stop_auto_rerun":
                self.fragments.discard(message.stop_auto_rerun.fragment_id)
            elif kind == "delta":
                self._take(message, errors, texts)
            elif kind == "script_finished" and message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                return Answer(time.perf_counter() - began, errors, " ".join(texts))

    def _take(self, message: ForwardMsg, errors: list[str], texts: list[str]) -> None:
        if message.delta.WhichOneof("type") != "new_element":
            return
        element = message.delta.new_element
        kind = element.WhichOneof("type")
        if kind == "bidi_component":
            component = element.bidi_component
            key = component.id.split("-", 2)[-1]  # $$ID-hash-key
            self.components[key] = component.id
            self.component_json[key] = json.loads(component.json) if component.json else None
            texts.append(component.json)
        elif kind == "exception":
            errors.append(f"{element.exception.type}: {element.exception.message}")
        elif kind == "alert" and element.alert.format == element.alert.ERROR:
            errors.append(element.alert.body)
        elif kind == "html":
            texts.append(element.html.body)


async def picture(port: int, address: str) -> tuple[int, int]:
    """Fetch a picture of the page, as a browser does -> (status, bytes)."""

    def get() -> tuple[int, int]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", address)
        response = connection.getresponse()
        size = len(response.read())
        connection.close()
        return response.status, size

    return await asyncio.to_thread(get)
