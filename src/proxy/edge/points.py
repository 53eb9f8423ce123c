"""The Analytics Engine dataset."""

from typing import Any

import js
import msgspec


class EnginePoints:
    """core.ports.Points over the binding, which answers at once and tells nothing."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset

    def __call__(self, blobs: list[str], doubles: list[float], index: str) -> None:
        """See core.ports.Points."""
        point = {"blobs": blobs, "doubles": doubles, "indexes": [index]}
        # As one text it crosses in half the time of 37 values.
        self._dataset.writeDataPoint(js.JSON.parse(msgspec.json.encode(point).decode()))
