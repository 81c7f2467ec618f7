"""The script Streamlit runs for every session."""

from ui import navigation

navigation.run_app()
