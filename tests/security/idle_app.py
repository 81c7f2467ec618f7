"""The app whose background work nobody takes up: what an address starts would keep two cores busy for hours."""

import streamlit as st

from ui import ROOT
from ui.jobs import JobManager
from ui.server import lifespan, middleware, routes

JobManager._serve = lambda self: None
app = st.App(ROOT / "ui" / "main.py", routes=routes(), lifespan=lifespan, middleware=middleware())
