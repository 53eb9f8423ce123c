"""For all unit tests: a property's examples, and what the garbage collector leaves alone.

No example is timed, whatever else the machine does. `HYPOTHESIS_PROFILE=thorough` tries many more.
"""

import gc
import os

from hypothesis import settings

settings.register_profile("quick", deadline=None, max_examples=40)
settings.register_profile("thorough", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


def pytest_collection_finish() -> None:
    """Spare each collection the thousands of tests that live to the end."""
    gc.collect()
    gc.freeze()
