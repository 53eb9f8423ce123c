"""Hostile requests by the thousands, the same for the same seed: `python -m tests.fuzz`.

Each case is made from the seed and its number alone: a valid request of some path and dialect,
changed in a few places, and providers that answer it with what they might, changed likewise. It is
sent to the pipeline in CPython, or to the Worker in workerd, and what comes back is judged.
"""

import sys

from tools.layout import SOURCES

if str(SOURCES) not in sys.path:  # pytest has put it there
    sys.path.insert(0, str(SOURCES))
