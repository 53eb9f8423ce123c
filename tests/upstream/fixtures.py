"""Serves the files of tests/fixtures byte for byte."""

import json
from pathlib import Path

from .behaviour import BadDirectiveError
from .reply import Reply, dump

ROOT = Path(__file__).parent.parent / "fixtures"


def load(provider: str, name: str) -> Reply:
    """A provider's fixture; a stream keeps its events apart, so that a fault can count them."""
    path = ROOT / provider / f"{name}.json"
    if not path.is_file():
        raise BadDirectiveError(f"no fixture {provider}/{name}")
    fixture = json.loads(path.read_text())
    if "sse" in fixture:
        events = [event.encode() for event in fixture["sse"]]
        return Reply(fixture["status"], fixture["headers"], events, stream=True)
    body = fixture["body"]
    text = body if isinstance(body, str) else dump(body)
    return Reply(fixture["status"], fixture["headers"], [text.encode()])
