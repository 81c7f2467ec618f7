"""Liminal's library: models -> sampling -> studies -> analysis -> alignment.

The folders follow the data from left to right and import only leftwards; none of them imports streamlit.
"""

import logging
import os

__version__ = "0.1.0"

# OpenMP's threads spin at every barrier by default, which stalls all of them as soon as anything else wants a core (a browser, a
# second session, dlib's threads). Measured on two busy cores: the recogniser 35 ms a face spinning, 7 ms sleeping. It has to be
# said before torch loads OpenMP.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# MKL multiplies matrices in another order by where in memory they lie and by which of its rows a row is, so that a row's last bits
# would hang on its neighbours (seen on AMD Zen 4; core.models.device.run_in_chunks promises otherwise). Its reproducible mode does
# not, at the same speed and, for the built-in models, with the same bytes. It has to be set before the first product.
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")

LOG_VARIABLE = "LIMINAL_LOG"
LOG_LEVELS = ("debug", "info", "warning", "error")


def set_up_logging() -> None:
    """Write what the loggers of ``core``, ``ui`` and ``benchmarks`` say to standard error, from LIMINAL_LOG's level on.

    Without it Python's own rule holds: warnings and errors, without time and place. No photo, name of a person or answer is logged.
    """
    level = os.environ.get(LOG_VARIABLE, "").strip().lower()
    if not level:
        return
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    for package in ("core", "ui", "benchmarks"):
        logger = logging.getLogger(package)
        logger.setLevel(level.upper() if level in LOG_LEVELS else logging.INFO)
        logger.addHandler(handler)
    if level not in LOG_LEVELS:
        logging.getLogger("core").warning(
            "%s is '%s'; it can be %s. Going on with info.", LOG_VARIABLE, level, ", ".join(LOG_LEVELS)
        )


set_up_logging()
