"""How the networks of ``assets/weights`` were made: one command each, seeded, restartable (``python -m core train``)."""
