"""A visitor without a browser: Streamlit's own messages over a real web socket, with whatever headers an attacker would send."""

import socket
from urllib.parse import urlsplit

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect


def said(address, page="", query="", headers=(), host=None, origin=None, token="", patience=120):
    """What a page tells the browser on a first visit, as text. headers: pairs; host, origin: instead of the true; token: XSRF."""
    place = urlsplit(address)
    wire = socket.create_connection((place.hostname, place.port), timeout=patience)
    with connect(
        f"ws://{host or place.netloc}/_stcore/stream",
        sock=wire,
        origin=origin or address,
        subprotocols=["streamlit", *([token] if token else [])],
        additional_headers=list(headers),
        max_size=None,
        close_timeout=1,
    ) as line:
        asked = BackMsg()
        asked.rerun_script.query_string = query
        asked.rerun_script.page_name = page
        line.send(asked.SerializeToString())
        parts = []
        while True:
            message = ForwardMsg.FromString(line.recv(timeout=patience))
            parts.append(str(message))
            finished = message.WhichOneof("type") == "script_finished"
            if finished and message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:  # a page that leads to another goes on
                return "\n".join(parts)
