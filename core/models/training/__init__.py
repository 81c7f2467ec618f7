"""How the networks of ``assets/weights`` were made: one command each, seeded, restartable (``python -m core train``).

``head_source``, ``head_geometry`` and ``head_strands`` build the files of the parametric head in ``assets/head`` (``python -m core
assets head``).
"""
