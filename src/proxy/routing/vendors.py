"""OpenRouter's `provider` object: what of it chooses among the providers here, and what is a wish
that OpenRouter alone can grant, which chooses among the vendors behind it.

A list of which each name is a provider here is the proxy's, unless the request can go to a reseller
alone; any other list names vendors.
"""

from collections.abc import Collection
from typing import TypeAlias

import msgspec
from msgspec import structs

from proxy.core.chat import Routing
from proxy.core.errors import InvalidRequest

LISTS = ("order", "only", "ignore")
SHARED = ("sort", "allow_fallbacks")
"""What the proxy and OpenRouter both act on: either can grant them."""

Wishes: TypeAlias = dict[str, object]
"""Fields of the `provider` object for the reseller."""


def divide(
    routing: Routing,
    fields: str | None,
    providers: Collection[str],
    resellers: Collection[str],
    *,
    alone: bool,
) -> tuple[Routing, Wishes]:
    """Divides the `provider` object: the routing keeps the lists of the proxy's own providers, the
    rest are wishes. fields: those beside the lists, as JSON; alone: whether the request can go to a
    reseller only."""
    wishes: Wishes = msgspec.json.decode(fields) if fields else {}
    for name in LISTS:
        given: tuple[str, ...] = getattr(routing, name)
        if alone or not all(entry in providers for entry in given):
            routing = structs.replace(routing, **{name: ()})
            if vendors := [entry for entry in given if entry not in resellers]:
                wishes[name] = vendors
    return routing, wishes


def refuse_wishes(wishes: Wishes, providers: Collection[str]) -> None:
    """Raises InvalidRequest for the first wish that only a reseller can grant."""
    for name, value in wishes.items():
        if name in SHARED and not isinstance(value, dict):
            continue
        reason = "Only OpenRouter knows this"
        if name in LISTS and isinstance(value, list):
            stranger = next(entry for entry in value if entry not in providers)
            reason = f"{stranger!r} is no provider; there are {', '.join(providers)}"
        raise InvalidRequest(
            f"provider.{name}: {reason}. What is meant for OpenRouter reaches it where it alone may"
            " answer: name its model, as in openrouter/VENDOR/MODEL, with fallback false.",
            param=f"provider.{name}",
        )
