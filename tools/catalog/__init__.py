"""Bring the catalogue (src/proxy/providers/catalog.json) up to date with two packages that people
keep: genai-prices and LiteLLM's price list. `__main__.py` is the command.

The tool's fields are `offers.OWNED`; every other field of a model, and all of the providers and
aliases, is written by hand and never touched.
"""

import sys

from tools.layout import SOURCES

sys.path.insert(0, str(SOURCES))  # the catalogue's own types
