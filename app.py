"""Liminal's web app: `python app.py` (or `streamlit run app.py`).

The main script lies in ui/ on purpose: st.navigation beside a folder called pages/ misfires on the first request of a fresh server.
"""

import streamlit as st

from ui import ROOT
from ui.server import keep_uploads_in_memory, lifespan, middleware, routes

keep_uploads_in_memory()
app = st.App(ROOT / "ui" / "main.py", routes=routes(), lifespan=lifespan, middleware=middleware())

if __name__ == "__main__":
    app.run()
