"""Tables in, Plotly figures out: one function a figure, one theme for all. Neither torch nor streamlit is imported here."""
