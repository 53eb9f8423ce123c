"""Reading the proxy's event streams as a caller would."""

import json
from collections.abc import Iterator
from typing import Any

import httpx


def events(answer: httpx.Response) -> Iterator[tuple[str, Any]]:
    """Each event's name and its data; `[DONE]` as that text."""
    name = ""
    for line in answer.iter_lines():
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, value if value == "[DONE]" else json.loads(value)
            name = ""
