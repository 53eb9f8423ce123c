"""GET /analytics: what its parameters ask of the roll-ups."""

from collections.abc import Mapping
from typing import cast, get_args

from msgspec import Struct

from proxy.analytics.query import parameters
from proxy.analytics.store.figures import KEPT_SECONDS, SPAN_SECONDS, Dimension, Key, Query, Span

STEPS = 1_500
"""The most that a window may have."""
DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)
PARAMETERS = ("window", "step", "group_by", *DIMENSIONS)


class Question(Struct, frozen=True, kw_only=True):
    """A query, and how it was asked."""

    window: str
    query: Query

    @property
    def resolution(self) -> int:
        """The seconds of the rows that are read."""
        return SPAN_SECONDS[self.query.span]


def read(params: Mapping[str, str], now: int, only: Key | None = None) -> Question:
    """What is asked for at `now` (seconds since 1970). `only`: what the caller may see.

    Raises InvalidRequest naming the parameter, PermissionDenied.
    """
    parameters.check_names(params, PARAMETERS)
    text = params.get("window", "1h")
    window = parameters.seconds("window", text)
    step = parameters.seconds("step", params["step"]) if "step" in params else None
    span = _span(window, step)
    border = step or SPAN_SECONDS[span]
    group_by = _group_by(params.get("group_by", ""))
    return Question(
        window=text,
        query=Query(
            span=span,
            begin=(now - window) // border * border,
            end=(now // border + 1) * border,
            step=step,
            group_by=group_by,
            only=cast(Key, parameters.filters(params, DIMENSIONS, only or {})),
            models_only="endpoint" not in (*params, *group_by),
        ),
    )


def _span(window: int, step: int | None) -> Span:
    """The rows to read: for steps the longest that fit into one, else the shortest that are kept
    for the whole window. Raises InvalidRequest."""
    kept: list[Span] = [span for span, seconds in KEPT_SECONDS.items() if window <= seconds]
    if step is None:
        return kept[0]
    if step > window:
        raise parameters.invalid("step", "Must not be longer than the window")
    if window > step * STEPS:
        raise parameters.invalid("step", f"Must be longer: a window has at most {STEPS} steps")
    for span in reversed(kept):
        if step % SPAN_SECONDS[span] == 0:
            return span
    raise parameters.invalid(
        "step", f"Must be whole {kept[0]}s: nothing shorter is kept for so long a window"
    )


def _group_by(text: str) -> tuple[Dimension, ...]:
    names = text.split(",") if text else []
    for name in names:
        if name not in DIMENSIONS:
            raise parameters.invalid(
                "group_by", f"Must be some of {','.join(DIMENSIONS)}, with commas between them"
            )
    if len(set(names)) < len(names):
        raise parameters.invalid("group_by", "Must not name anything twice")
    return cast(tuple[Dimension, ...], tuple(names))
