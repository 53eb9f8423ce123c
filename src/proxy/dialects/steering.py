"""The proxy's own fields in OpenAI's dialects, for the choice of providers and for the cache.

They are `provider`, `fallback`, `strategy`, `cache` and `timeout`, with LiteLLM's `cache` object
and OpenRouter's `models` and `provider` object.
"""

from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from proxy.core.cache_control import CacheControl, CacheMode
from proxy.core.chat import Routing, Strategy
from proxy.core.errors import invalid
from proxy.dialects import reading

VENDOR_FIELDS = 4000
"""Characters of JSON that may be meant for OpenRouter in a `provider` object."""
_LISTS = ("order", "only", "ignore")

_SORTS: dict[str, Strategy] = {"price": "cheapest", "throughput": "fastest", "latency": "fastest"}


class _Provider(Struct, frozen=True):
    """OpenRouter's `provider` object, as far as it chooses providers. Its other fields
    (`data_collection`, `zdr`, …) are promises that OpenRouter alone can keep: `read_vendors`."""

    order: reading.Names | None = None
    only: reading.Names | None = None
    ignore: reading.Names | None = None
    sort: Literal["price", "throughput", "latency"] | dict[str, Any] | None = None
    allow_fallbacks: bool | None = None


class Steering(Struct, frozen=True, kw_only=True):
    """The choice of providers. All but `model` are the proxy's own fields."""

    model: reading.Name | None = None
    models: reading.Names | None = None
    provider: reading.Name | _Provider | None = None
    fallback: bool | reading.Names | None = None
    strategy: Strategy | None = None
    timeout: reading.Milliseconds | None = None


class CacheWish(
    Struct,
    frozen=True,
    forbid_unknown_fields=True,
    rename={"s_maxage": "s-maxage", "no_cache": "no-cache", "no_store": "no-store"},
):
    """The native `cache` object and LiteLLM's in one."""

    ttl: reading.Seconds | None = None
    mode: CacheMode | None = None
    s_maxage: reading.Seconds | None = None
    no_cache: bool | None = None
    no_store: bool | None = None
    namespace: reading.Name | None = None


OWN = frozenset(Steering.__struct_fields__) - {"model"} | {"cache"}
"""The fields that OpenAI does not have."""
_OBJECT = msgspec.json.Decoder(dict[str, Any])
_NO_WISH = CacheControl()


def read_routing(request: Steering) -> Routing:
    """Who shall answer. Where several fields name models or providers, all count."""
    wish = request.provider if isinstance(request.provider, _Provider) else _Provider()
    sort = wish.sort if isinstance(wish.sort, str) else None
    names = (request.model, *(request.models or ()))
    model, *others = dict.fromkeys(name for name in names if name) or ("auto",)
    fallback = True if request.fallback is None else request.fallback
    return Routing(
        model=model,
        models=tuple(others),
        provider=request.provider if isinstance(request.provider, str) else None,
        strategy=request.strategy or (_SORTS[sort] if sort else None),
        fallback=False if wish.allow_fallbacks is False else fallback,
        timeout_ms=request.timeout,
        order=wish.order or (),
        only=wish.only or (),
        ignore=wish.ignore or (),
    )


def read_vendors(request: Steering, fields: dict[str, Raw]) -> str | None:
    """What OpenRouter's `provider` object holds beside its lists, the keys in order; None where
    it holds nothing else."""
    if not isinstance(request.provider, _Provider):
        return None
    given = reading.decode(_OBJECT, fields["provider"], at="provider")
    rest = {k: v for k, v in given.items() if k not in _LISTS and v is not None}
    text = msgspec.json.encode(rest, order="sorted").decode() if rest else None
    if text and len(text) > VENDOR_FIELDS:
        raise invalid("provider", f"Expected fields of at most {VENDOR_FIELDS} characters")
    return text


def read_cache(wanted: CacheWish | None) -> CacheControl:
    """What is wanted of the cache, from whichever of the two forms."""
    if wanted is None:
        return _NO_WISH
    mode = wanted.mode or "default"
    return CacheControl(
        ttl=wanted.ttl,
        mode="refresh" if wanted.no_cache and mode == "default" else mode,
        store=not wanted.no_store,
        max_age=wanted.s_maxage,
        namespace=wanted.namespace,
    )
