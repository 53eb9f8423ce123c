"""One word out of two sources, by stated rules, and what they disagree on.

- The first offer decides (`names.Names.genai_wins` says whose that is): its prices are taken whole.
- Where both have the same base prices, each adds what the other leaves out: genai-prices the days
  from which prices change, LiteLLM limits and the day on which a model ends.
- Where they differ, the dates of the other's prices are of another price list, and not taken.
- Limits come from LiteLLM where it has them: it counts the input that a model takes, genai-prices
  often rounds.
- A price of nothing does not replace a price: LiteLLM has 0 for some that it does not know.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal

from tools.catalog.litellm import NAME as LITELLM
from tools.catalog.offers import Offer, Rate

TEXT_MODES = ("chat", "embedding", "completion", "moderation", "rerank")
ROUNDED = {"workers-ai": Decimal("0.0005")}
"""Providers whose pages round: Cloudflare's dollars to the third digit, out of exact neurons. Of
two prices that close the one with more digits is right."""


def merge(provider: str, offers: list[Offer], known: Mapping[str, Decimal]) -> Offer | None:
    """What the sources together say of a model, None where they say nothing.

    `offers` has the one that decides first; `known` are the catalogue's own base prices.
    """
    if not offers:
        return None
    limits = next((offer for offer in offers if offer.source == LITELLM), offers[0])
    if limits.mode not in TEXT_MODES:  # tokens of sounds and pictures cost otherwise
        offers = [limits]
    priced = [offer for offer in offers if _is_price(offer, known)]
    first = priced[0] if priced else replace(offers[0], prices={}, rates=())
    prices, rates = dict(first.prices), first.rates
    for other in priced[1:]:
        if not list(_compare(provider, first, other)):
            prices = {**other.prices, **prices}
            rates = _join(rates, other.rates)
    prices = _keep_digits(provider, prices, [offer.prices for offer in priced] + [known])
    return replace(
        limits,
        source=first.source,
        prices=prices,
        rates=rates,
        context=limits.context or offers[-1].context or offers[0].context,
    )


def list_disagreements(provider: str, offers: list[Offer]) -> Iterator[str]:
    """What the two sources of a model say otherwise of its prices."""
    if len(offers) == 2:
        yield from _compare(provider, *offers)


def _compare(provider: str, first: Offer, other: Offer) -> Iterator[str]:
    """Where two offers differ: base prices, by the dearest hours of the day, and steps."""
    pairs = [("", _at_peak(first), _at_peak(other))]
    for one in (rate for rate in first.rates if rate.above and not rate.start):
        same = [rate for rate in other.rates if rate.above == one.above and not rate.start]
        pairs += [(f" above {one.above}", one.prices, rate.prices) for rate in same]
    for place, mine, theirs in pairs:
        for name in mine.keys() & theirs.keys():
            if abs(mine[name] - theirs[name]) > ROUNDED.get(provider, 0):
                yield (
                    f"{name}{place}: {mine[name].normalize():f} ({first.source}: {first.key}), "
                    f"{theirs[name].normalize():f} ({other.source}: {other.key})"
                )


def _at_peak(offer: Offer) -> Mapping[str, Decimal]:
    hourly = [rate.prices for rate in offer.rates if rate.hours and not rate.above]
    return max([offer.prices, *hourly], key=lambda prices: prices.get("input", Decimal(0)))


def _is_price(offer: Offer, known: Mapping[str, Decimal]) -> bool:
    """Whether an offer has a price that may replace the known one."""
    if "input" not in offer.prices:
        return False
    return any(offer.prices.values()) or not any(known.values())


def _join(first: tuple[Rate, ...], other: tuple[Rate, ...]) -> tuple[Rate, ...]:
    """The first one's steps and hours where it has some, else the other's; dates of both."""
    daily = [rate for rate in first if not rate.start]
    daily = daily or [rate for rate in other if not rate.start]
    dated = [rate for rate in first if rate.start] or [rate for rate in other if rate.start]
    return (*daily, *dated)


def _keep_digits(
    provider: str, prices: dict[str, Decimal], all_: list[Mapping[str, Decimal]]
) -> dict[str, Decimal]:
    """The prices, each as the one of the most digits that rounds to it."""
    bound = ROUNDED.get(provider)
    if bound is None:
        return prices
    exact = {}
    for name, price in prices.items():
        close = [one[name] for one in all_ if name in one and abs(one[name] - price) <= bound]
        exact[name] = max(close, key=lambda one: -int(one.normalize().as_tuple().exponent))
    return exact
