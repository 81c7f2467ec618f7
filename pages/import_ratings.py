import streamlit as st

from core.errors import LiminalError
from ui.markup import intro_html
from ui.studies import owner_gate

try:
    if owner_gate.require_owner():
        st.title("Bring in answers", anchor=False)
        st.html(
            intro_html(
                "From another program, a publication, or another Liminal: a table with a line for each answer (CSV, TSV, Parquet, "
                "JSON of jsPsych), a table of means with a line for each pair, or a bundle."
            )
        )
        from ui.studies import import_page  # SQLAlchemy is loaded once the title is painted

        import_page.show_import()
except LiminalError as error:
    st.error(str(error))
