"""Turns the config.yaml of a LiteLLM proxy into this project's settings and aliases.

    .venv/bin/python -m tools.import_litellm config.yaml --env .env --aliases aliases.jsonl

`document` reads the file, `servers` finds the providers and their keys, `deployments` reads the
entries of `model_list`, `groups` makes aliases of them, `sections` reads the other settings,
`report` gathers what comes out of it all, and `render` shows it.
"""

import importlib.util
import sys

from tools.layout import SOURCES

if not all(map(importlib.util.find_spec, ("msgspec", "yaml"))):
    raise SystemExit("This needs the packages of `make setup`: run it with .venv/bin/python.")
sys.path.insert(0, str(SOURCES))
