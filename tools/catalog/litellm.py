"""LiteLLM's price list, a JSON file in its wheel: prices per token, limits, abilities and the dates
on which models end. It has no dates of prices.
"""

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from tools.catalog.offers import MILLION, PRICES, Offer, Rate, SourceError, clean_prices

NAME = "LiteLLM"
PACKAGE = "litellm"
FILE = "litellm/model_prices_and_context_window_backup.json"
COSTS = dict(
    zip(
        PRICES,
        (
            "input_cost_per_token",
            "output_cost_per_token",
            "cache_read_input_token_cost",
            "cache_creation_input_token_cost",
            "cache_creation_input_token_cost_above_1hr",
        ),
        strict=True,
    )
)
MODES = {
    "chat": "chat",
    "responses": "chat",
    "embedding": "embedding",
    "completion": "completion",
    "moderation": "moderation",
    "image_generation": "image",
    "audio_speech": "speech",
    "audio_transcription": "transcription",
    "rerank": "rerank",
}
"""Its modes that the catalogue has, by the catalogue's names."""
ABILITIES = {
    "vision": "supports_vision",
    "tools": "supports_function_calling",
    "json": "supports_response_schema",
    "reasoning": "supports_reasoning",
}
OTHER_TOKENS = ("image", "audio")
"""Tokens that are no text: a model whose tokens cost otherwise has no price for all its tokens."""
_STEP = re.compile(r"_above_(\d+)k_tokens$")
_DAY = re.compile(r"20\d\d-[01]\d-[0-3]\d$")
_WEEK = {1, 2, 3, 4, 5, 6, 7}
_ALL_DAY = "00:00-00:00"


class LiteLLM:
    """The price list."""

    def __init__(self, text: bytes) -> None:
        """Raises SourceError for a file of another form."""
        try:
            entries = json.loads(text, parse_float=Decimal)
        except ValueError as error:
            raise SourceError(f"{FILE} is no JSON ({error})") from error
        if not isinstance(entries, dict) or not any(
            isinstance(entry, dict) and "litellm_provider" in entry and COSTS["input"] in entry
            for entry in entries.values()
        ):
            raise SourceError(
                f"{FILE}: expected an object with an entry for each model, which has "
                f"litellm_provider and {COSTS['input']}"
            )
        self._entries: dict[str, Mapping[str, Any]] = {
            key: entry
            for key, entry in entries.items()
            if isinstance(entry, dict) and "litellm_provider" in entry
        }

    def list_keys(self, providers: tuple[str, ...]) -> Iterator[str]:
        """The names of the models at some of its providers; a name that ends in * stands for all
        that begin so."""
        for key, entry in self._entries.items():
            if entry.get("mode") in MODES and _is_among(entry["litellm_provider"], providers):
                yield key

    def read(self, key: str, providers: tuple[str, ...]) -> Offer | None:
        """The model of that name at one of these providers; None where there is none."""
        entry = self._entries.get(key)
        if entry is None or not _is_among(entry["litellm_provider"], providers):
            return None
        try:
            return _read_entry(key, entry)
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise SourceError(f"{FILE}: {key} has another form than expected: {error!r}") from error


def _read_entry(key: str, entry: Mapping[str, Any]) -> Offer:
    prices = _read_prices(entry)
    shutdown = entry.get("deprecation_date")
    return Offer(
        source=NAME,
        key=key,
        prices=prices,
        rates=(*_read_steps(entry), *_read_hours(entry)) if prices else (),
        context=_read_tokens(entry, "max_input_tokens"),
        max_output=_read_tokens(entry, "max_output_tokens"),
        shutdown=shutdown if isinstance(shutdown, str) and _DAY.match(shutdown) else None,
        successor=entry.get("successor_model"),
        mode=MODES.get(entry.get("mode", ""), ""),
        can=tuple(name for name, field in ABILITIES.items() if entry.get(field)),
    )


def _is_among(provider: str, providers: tuple[str, ...]) -> bool:
    return any(
        provider == name or (name.endswith("*") and provider.startswith(name[:-1]))
        for name in providers
    )


def _read_prices(entry: Mapping[str, Any], suffix: str = "") -> dict[str, Decimal]:
    """The prices whose names end in the suffix; none where text is not all that is charged by the
    token."""
    if entry.get("mode") not in ("chat", "responses") and any(
        entry.get(f"{way}_cost_per_{kind}_token", entry.get(f"{way}_cost_per_token"))
        != entry.get(f"{way}_cost_per_token")
        for way in ("input", "output")
        for kind in OTHER_TOKENS
    ):
        return {}
    found = {name: entry.get(field + suffix) for name, field in COSTS.items()}
    return clean_prices(
        {
            name: Decimal(price) * MILLION
            for name, price in found.items()
            if isinstance(price, Decimal | int) and not isinstance(price, bool)
        }
    )


def _read_steps(entry: Mapping[str, Any]) -> Iterator[Rate]:
    steps = {int(found[1]) for field in entry if (found := _STEP.search(field))}
    for step in sorted(steps):
        if prices := _read_prices(entry, f"_above_{step}k_tokens"):
            yield Rate(prices, above=step * 1000)


def _read_hours(entry: Mapping[str, Any]) -> Iterator[Rate]:
    """The windows in which it costs less. A window of some days' hours counts for all days where
    the other days are cheap throughout."""
    off_peak = entry.get("off_peak_pricing") or {}
    prices, cheap_days = _read_prices(off_peak), set[int]()
    for window in off_peak.get("windows", []):
        days, hours = set(window.get("weekdays", _WEEK)), window["hours_utc"]
        if hours == _ALL_DAY:
            cheap_days |= days
    for window in off_peak.get("windows", []):
        days, hours = set(window.get("weekdays", _WEEK)), window["hours_utc"]
        if hours != _ALL_DAY:
            told = hours if isinstance(hours, str) else ",".join(hours)
            whole_week = days | cheap_days == _WEEK
            yield Rate(prices, hours=told, weekdays=None if whole_week else tuple(sorted(days)))
    if cheap_days:
        yield Rate(prices, weekdays=tuple(sorted(cheap_days)))


def _read_tokens(entry: Mapping[str, Any], field: str) -> int | None:
    tokens = entry.get(field)
    return int(tokens) if isinstance(tokens, int | Decimal) and tokens > 0 else None
