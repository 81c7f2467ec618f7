"""Figures: tables and results in, Plotly figures out, one theme for all. Neither torch nor streamlit is imported here.

A file is a subject: ``plot_...`` draws one figure from a table, ``exhibit_...`` computes the statistic of a study and returns
exhibits (``core.figures.exhibit``): the figure with its table, definition and notes. ``contents`` lists the exhibits in order; the
statistics page, the HTML report and the command line show the same ones.
"""

from __future__ import annotations
