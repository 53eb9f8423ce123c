"""The Analytics Engine dataset."""

from collections.abc import Sequence
from typing import Any

import js
import msgspec

from proxy.core.ports import DataPoint


class EnginePoints:
    """core.ports.Points over the binding, which answers at once and says nothing."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset

    def __call__(self, points: Sequence[DataPoint]) -> None:
        """See core.ports.Points."""
        # As one text all of them cross in less time than a single one's 37 values.
        parsed = js.JSON.parse(msgspec.json.encode(points).decode())
        parsed.forEach(self._dataset.writeDataPoint, self._dataset)
