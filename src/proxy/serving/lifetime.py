"""What an answer's headers say of a model that ends."""

from datetime import UTC, date, datetime
from functools import lru_cache

from proxy.core.time import format_http_date
from proxy.providers.specs import Model


def end_headers(model: Model) -> dict[str, str]:
    """`deprecation` (RFC 9745) and `sunset` (RFC 8594) of a model whose end is known."""
    return _render(model.deprecated, model.shutdown) if model.shutdown else {}


@lru_cache(maxsize=64)
def _render(deprecated: date | None, shutdown: date) -> dict[str, str]:
    # RFC 9745, 4: a sunset is not earlier than the deprecation, which is unknown where it is None.
    return {
        "deprecation": f"@{round(_begin(deprecated or shutdown))}",
        "sunset": format_http_date(_begin(shutdown)),
    }


def _begin(day: date) -> float:
    """The first moment of a day, in seconds since 1970."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
