"""The Analytics Engine dataset."""

from typing import Any

from proxy.edge.convert import js_object


class EnginePoints:
    """core.ports.Points over the binding, which answers at once and tells nothing."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset

    def __call__(self, blobs: list[str], doubles: list[float], index: str) -> None:
        """See core.ports.Points."""
        point = {"blobs": blobs, "doubles": doubles, "indexes": [index]}
        self._dataset.writeDataPoint(js_object(point))
