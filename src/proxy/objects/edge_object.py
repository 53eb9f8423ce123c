"""What all objects share."""

from typing import Any

from workers import DurableObject

from proxy.platform.loop import adopt_loop


class EdgeObject(DurableObject):
    """An object whose calls run on the isolate's own event loop."""

    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)
        adopt_loop()
