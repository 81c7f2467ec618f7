"""Liminal's library: models -> sampling -> studies -> analysis -> alignment.

The folders follow the data from left to right and import only leftwards; none of them imports streamlit.
"""

__version__ = "0.1.0"
