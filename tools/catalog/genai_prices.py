"""genai-prices: prices with the dates from which they hold, steps and hours. Its data is a Python
module of nothing but constructors, which is read as a tree and never run.
"""

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tools.catalog.offers import Offer, Rate, SourceError, clean_prices

NAME = "genai-prices"
PACKAGE = "genai-prices"
FILE = "genai_prices/data.py"
PRICE_NAMES = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cached",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
}


@dataclass(frozen=True)
class Call:
    """A constructor's name and what it is given."""

    name: str
    args: tuple[Any, ...]
    fields: Mapping[str, Any]

    def get(self, field: str) -> Any:
        """What a field is given, None where it is left out."""
        return self.fields.get(field)


class GenaiPrices:
    """The price list."""

    def __init__(self, text: bytes) -> None:
        """Raises SourceError for a file of another form."""
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError) as error:
            raise SourceError(f"{FILE} is no Python ({error})") from error
        providers = _find_data(tree)
        if not providers or not all(_is_call(item, "Provider", "id") for item in providers):
            raise SourceError(f"{FILE}: expected a list of Provider(id=…, models=[…])")
        self._models: dict[str, list[Call]] = {
            provider.get("id"): provider.get("models") or [] for provider in providers
        }
        for model in (model for models in self._models.values() for model in models):
            if not _is_call(model, "ModelInfo", "id", "match", "prices"):
                raise SourceError(f"{FILE}: expected ModelInfo(id=…, match=…, prices=…)")

    def list_providers(self) -> list[str]:
        """The names of its providers."""
        return list(self._models)

    def list_keys(self, provider: str) -> Iterator[str]:
        """The names of a provider's models, without those that it calls deprecated."""
        for model in self._models.get(provider, []):
            if not model.get("deprecated"):
                yield model.get("id")

    def read(self, provider: str, name: str, today: str) -> Offer | None:
        """The model that has or matches this name, as of a day (YYYY-MM-DD); None where none
        does."""
        models = self._models.get(provider, [])
        name = name.lower()
        found = next((model for model in models if model.get("id").lower() == name), None)
        found = found or next(
            (model for model in models if _matches(model.get("match"), name)), None
        )
        if found is None:
            return None
        try:
            prices, rates = _read_prices(found.get("prices"), today)
            return Offer(NAME, found.get("id"), prices, tuple(rates), found.get("context_window"))
        except (AttributeError, KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise SourceError(
                f"{FILE}: {found.get('id')} has another form than expected: {error!r}"
            ) from error


def _find_data(tree: ast.Module) -> Any:
    """What the module calls `providers`, None where it has no such name."""
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        named = any(isinstance(one, ast.Name) and one.id == "providers" for one in targets)
        if named and isinstance(node, ast.Assign | ast.AnnAssign) and node.value:
            return _build(node.value)
    return None


def _is_call(value: Any, name: str, *fields: str) -> bool:
    return isinstance(value, Call) and value.name == name and value.fields.keys() >= set(fields)


def _build(node: ast.expr) -> Any:
    """The value that an expression of constants, lists, dicts and constructors stands for."""
    match node:
        case ast.Constant():
            return node.value
        case ast.List() | ast.Tuple():
            return [_build(item) for item in node.elts]
        case ast.Dict():
            keys = [key and _build(key) for key in node.keys]
            return dict(zip(keys, map(_build, node.values), strict=True))
        case ast.Attribute() | ast.Name():
            return ast.unparse(node)
        case ast.Call():
            name = ast.unparse(node.func)
            args = tuple(map(_build, node.args))
            if name == "Decimal":
                return Decimal(args[0])
            return Call(name, args, {word.arg or "": _build(word.value) for word in node.keywords})
    raise SourceError(f"{FILE}, line {node.lineno}: expected data, found {ast.unparse(node)[:60]}")


_CLAUSES: Mapping[str, tuple[str, Callable[[Any, str], bool]]] = {
    "ClauseOr": ("or_", lambda clauses, name: any(_matches(one, name) for one in clauses)),
    "ClauseAnd": ("and_", lambda clauses, name: all(_matches(one, name) for one in clauses)),
    "ClauseEquals": ("equals", lambda text, name: name == text.lower()),
    "ClauseStartsWith": ("starts_with", lambda text, name: name.startswith(text.lower())),
    "ClauseEndsWith": ("ends_with", lambda text, name: name.endswith(text.lower())),
    "ClauseContains": ("contains", lambda text, name: text.lower() in name),
    "ClauseRegex": ("regex", lambda text, name: re.search(text, name) is not None),
}
"""Its descriptions of a model's names: the field of each, and whether a name in lower case is one
that it describes."""


def _matches(clause: Call, name: str) -> bool:
    if clause.name not in _CLAUSES:
        raise SourceError(f"{FILE}: expected one of {', '.join(_CLAUSES)}, found {clause.name}")
    field, matches = _CLAUSES[clause.name]
    return matches(clause.fields[field], name)


def _read_prices(prices: Any, today: str) -> tuple[dict[str, Decimal], Iterator[Rate]]:
    """The base prices of a day, and what replaces them.

    Of several prices whose conditions hold, the last one counts, there as here.
    """
    listed = [Call("", (), {"prices": prices})] if isinstance(prices, Call) else prices
    current: Call | None = None
    later: list[tuple[str | None, str | None, Call]] = []
    for one in listed:
        start, hours = _read_constraint(one.get("constraint"))
        if hours and later and later[-1][1] and later[-1][2] == one.get("prices"):
            later[-1] = (None, f"{later[-1][1]},{hours}", one.get("prices"))
        elif hours or (start and start > today):
            later.append((start, hours, one.get("prices")))
        else:
            current = one.get("prices")
    if current is None:
        return {}, iter(())
    return _at_step(current, 0), _read_rates(current, later)


def _read_rates(current: Call, later: list[tuple[str | None, str | None, Call]]) -> Iterator[Rate]:
    for start, hours, prices in [(None, None, current), *later]:
        if start or hours:
            yield Rate(_at_step(prices, 0), start=start, hours=hours)
        for step in _list_steps(prices):
            yield Rate(_at_step(prices, step), start=start, hours=hours, above=step)


def _read_constraint(constraint: Call | None) -> tuple[str | None, str | None]:
    """The day from which a price holds, and its hours; None each where that is no condition."""
    if constraint is None:
        return None, None
    if constraint.name == "StartDateConstraint":
        year, month, day = constraint.fields["start_date"].args
        return f"{year:04}-{month:02}-{day:02}", None
    if constraint.name == "TimeOfDateConstraint":
        times = [constraint.fields[field] for field in ("start_time", "end_time")]
        zones = {time.get("tzinfo") for time in times} - {None, "datetime.UTC"}
        if zones:
            raise SourceError(f"{FILE}: expected hours in UTC, found {zones}")
        return None, "-".join(f"{(*time.args, 0)[0]:02}:{(*time.args, 0)[1]:02}" for time in times)
    raise SourceError(f"{FILE}: expected a constraint by date or time, found {constraint.name}")


def _list_steps(prices: Call) -> list[int]:
    tiered = [price for price in prices.fields.values() if _is_call(price, "TieredPrices")]
    return sorted({tier.get("start") for price in tiered for tier in price.get("tiers")})


def _at_step(prices: Call, step: int) -> dict[str, Decimal]:
    """What tokens cost in a request of more input tokens than `step`."""
    found: dict[str, Decimal] = {}
    for field, name in PRICE_NAMES.items():
        price = prices.get(field)
        if _is_call(price, "TieredPrices"):
            tiers = sorted(price.get("tiers"), key=lambda tier: int(tier.get("start")))
            reached = [tier.get("price") for tier in tiers if tier.get("start") <= step]
            price = reached[-1] if reached else price.get("base")
        if price is not None:
            found[name] = price
    return clean_prices(found)
