"""What the catalogue's dates will change soon."""

from collections.abc import Iterator
from datetime import date, timedelta

from msgspec import Struct, field, structs

from proxy.providers.endings import Models, find_successor
from proxy.providers.specs import Model

AHEAD = timedelta(60)


class Ending(Struct, frozen=True, rename="camel"):
    """A model that ends soon."""

    model: str
    shutdown: date
    """The first day on which it does not answer."""
    replaced_by: str | None
    """`provider/id` of what answers from then on; None: nothing does."""


class PriceChange(Struct, frozen=True):
    """Base prices of a model that change soon, in US dollars per million tokens."""

    model: str
    since: date = field(name="from")
    before: dict[str, float | None]
    """Those that change, by their names."""
    after: dict[str, float | None]


class Coming(Struct, frozen=True, rename="camel"):
    """What changes at a provider within 60 days."""

    endings: tuple[Ending, ...] = ()
    price_changes: tuple[PriceChange, ...] = ()


def list_coming(models: Models, day: date) -> dict[str, Coming]:
    """What changes after a day, by provider and in the order of the days. models: of the whole
    catalogue, not of a day."""
    coming: dict[str, Coming] = {}
    for provider in dict.fromkeys(provider for provider, _ in models):
        own = [m for m in models.values() if m.provider == provider and not m.has_ended(day)]
        endings = [_describe_end(models, m, m.shutdown) for m in own if m.shutdown]
        soon = (ending for ending in endings if ending.shutdown <= day + AHEAD)
        changes = (change for model in own for change in _list_changes(model, day))
        coming[provider] = Coming(
            tuple(sorted(soon, key=lambda ending: ending.shutdown)),
            tuple(sorted(changes, key=lambda change: change.since)),
        )
    return coming


def _describe_end(models: Models, model: Model, shutdown: date) -> Ending:
    successor = find_successor(models, model, shutdown)
    other = f"{successor.provider}/{successor.id}" if successor else None
    return Ending(model.id, shutdown, other)


def _list_changes(model: Model, day: date) -> Iterator[PriceChange]:
    """The changes of a model's base prices; those of each week are none."""
    dated = tuple(rate for rate in model.rates if not (rate.weekdays or rate.is_conditional))
    lasting = structs.replace(model, rates=dated)
    turns = {turn for rate in dated for turn in (rate.since, rate.until) if turn}
    for turn in sorted(turn for turn in turns if day < turn <= day + AHEAD):
        if model.has_ended(turn):
            return
        old = lasting.on(turn - timedelta(1)).prices.as_fields
        new = lasting.on(turn).prices.as_fields
        listed = [name for name, price in model.prices.as_fields.items() if price is not None]
        if changed := [name for name in listed if old[name] != new[name]]:
            before, after = ({name: prices[name] for name in changed} for prices in (old, new))
            yield PriceChange(model.id, turn, before, after)
