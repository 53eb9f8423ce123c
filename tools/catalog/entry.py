"""An entry of the catalogue, brought up to date by what the sources say. The tool's fields alone
change (`offers.OWNED`)."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from proxy.providers.specs import Model
from tools.catalog.offers import PRICES, Offer, Rate

Entry = dict[str, Any]
_ORDER = Model.__struct_fields__
_CONDITIONS = ("from", "until", "weekdays", "above", "hours")


def read_prices(entry: Mapping[str, Any]) -> dict[str, Decimal]:
    """The prices of an entry, or of one of its rates, as far as they are known."""
    return {name: Decimal(str(entry[name])) for name in PRICES if entry.get(name) is not None}


def update_entry(entry: Entry, offer: Offer, today: str) -> Entry:
    """The entry with the prices, rates, limits and end of the offer. What the offer leaves out
    stays, but for prices of another list: those beside an `input` that has changed."""
    fields = dict(entry)
    if "input" in offer.prices:
        if read_prices(entry).get("input") != offer.prices["input"]:
            fields = {name: value for name, value in fields.items() if name not in PRICES}
        for name, price in offer.prices.items():
            if name != "output" or entry.get("mode") != "embedding":  # has none
                fields[name] = _to_number(price)
        fields |= {"output": 0} if entry.get("mode") == "embedding" else {}
        fields["rates"] = _update_rates(entry, fields, offer.rates, today)
    fields["context"] = offer.context or entry.get("context")
    fields["max_output"] = _choose_max_output(entry, offer)
    fields["shutdown"] = offer.shutdown or entry.get("shutdown")
    return _arrange(fields)


def update_mode(entry: Entry, whole: Entry) -> Entry:
    """The entry of a mode of another model (`upstream`), which costs and holds what that one
    does."""
    taken = (*PRICES, "rates", "context", "max_output")
    fields = {name: value for name, value in entry.items() if name not in taken}
    return _arrange(fields | {name: whole[name] for name in taken if name in whole})


def make_entry(provider: str, id_: str, offer: Offer, today: str) -> Entry:
    """A line for a model that is new. Its abilities are written by hand from then on. genai-prices
    knows neither them nor the mode, but an embedding's name says what it is."""
    fields: Entry = {"provider": provider, "id": id_}
    mode = "embedding" if offer.can is None and "embedding" in id_ else offer.mode
    if mode != "chat":
        fields["mode"] = mode
    elif offer.can is not None:
        fields["can"] = list(offer.can)
    return update_entry(fields, offer, today)


def render_entry(entry: Entry) -> str:
    """The entry as the catalogue writes it, in one line."""
    return json.dumps(entry, ensure_ascii=False)


def _arrange(fields: Entry) -> Entry:
    """The fields that say something, in the catalogue's order."""
    return {name: fields[name] for name in _ORDER if fields.get(name) not in (None, [])} | (
        {"can": fields["can"]} if fields.get("can") == [] else {}
    )


def _choose_max_output(entry: Entry, offer: Offer) -> int | None:
    """The longest answer: none of an embedding; none of Workers AI's where all that is known is
    the context, which LiteLLM puts there."""
    known: int | None = entry.get("max_output")
    unlimited = entry["provider"] == "workers-ai" and offer.max_output == offer.context
    if known is None and (unlimited or entry.get("mode") == "embedding"):
        return None
    return offer.max_output or known


def _update_rates(entry: Entry, fields: Entry, rates: tuple[Rate, ...], today: str) -> list[Entry]:
    """The sources' rates, then those of days to come that stand in the entry and that no source
    names. The entry's own spelling stays where they mean the same."""
    base, listed = read_prices(fields), entry.get("rates", [])
    new = [_write_rate(rate, base) for rate in rates]
    new = [rate for rate in new if read_prices(rate)]
    named = [_read_conditions(rate) for rate in new]
    kept = [
        rate
        for rate in listed
        if _read_conditions(rate) not in named
        and max(rate.get("from", ""), rate.get("until", "")) > today
    ]
    new += kept
    same = [_spell_out(rate, base) for rate in new] == [_spell_out(rate, base) for rate in listed]
    return listed if same else new


def _write_rate(rate: Rate, base: Mapping[str, Decimal]) -> Entry:
    """A rate with the prices that differ from the base ones."""
    days = list(rate.weekdays) if rate.weekdays else None
    values = (rate.start, None, days, rate.above, rate.hours)
    prices = {
        name: _to_number(rate.prices[name])
        for name in PRICES
        if name in rate.prices and rate.prices[name] != base.get(name)
    }
    conditions = zip(_CONDITIONS, values, strict=True)
    return {name: value for name, value in conditions if value is not None} | prices


def _read_conditions(rate: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(rate.get(name) for name in _CONDITIONS)


def _spell_out(rate: Mapping[str, Any], base: Mapping[str, Decimal]) -> tuple[Any, ...]:
    """A rate in the form that is the same for all that mean the same."""
    return (*_read_conditions(rate), {**base, **read_prices(rate)})


def _to_number(price: Decimal) -> float:
    return int(price) if price == int(price) else float(price)
