"""Liminal's library: models -> sampling -> studies -> analysis -> alignment.

The folders follow the data from left to right and import only leftwards; none of them imports streamlit.
"""

import os

__version__ = "0.1.0"

# OpenMP's threads spin at every barrier by default, which stalls all of them as soon as anything else wants a core (a browser, a
# second session, dlib's threads). Measured on two busy cores: the recogniser 35 ms a face spinning, 7 ms sleeping. It has to be
# said before torch loads OpenMP.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# MKL multiplies matrices in another order by where in memory they lie and by which of its rows a row is, so that a row's last bits
# would hang on its neighbours (seen on AMD Zen 4; core.models.device.run_in_chunks promises otherwise). Its reproducible mode does not, at the
# same speed and, for the models that come with Liminal, with the same bytes. It has to be said before the first product.
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")
