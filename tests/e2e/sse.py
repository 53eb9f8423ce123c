"""Reading the proxy's event streams as a caller would."""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from typing import Any

import httpx


def events(answer: httpx.Response, *, cut: bool = False) -> Iterator[tuple[str, Any]]:
    """The events of an answer; see `parse`."""
    return parse(answer.iter_lines(), cut=cut)


def parse(lines: Iterable[str], *, cut: bool = False) -> Iterator[tuple[str, Any]]:
    """Each event's name and its data; `[DONE]` as that text. A `ping` is passed over unread, as
    Anthropic's SDKs do. cut: whether an event may have been cut off within its JSON; what is left
    of it is passed over too."""
    name = data = ""
    for line in chain(lines, [""]):
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            data = value
        elif not line:
            if data and name != "ping":
                with suppress(*[ValueError] if cut else ()):
                    yield name, data if data == "[DONE]" else json.loads(data)
            name = data = ""
