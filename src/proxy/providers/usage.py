"""Reads what providers report of an answer's usage: any JSON may stand there.

A report is believed as a whole or not at all. A count of tokens is a number from 0 to what the
model could use, a fraction rounded up; where the prompt's or the answer's is anything else, the
usage counts as not reported and is estimated. The answer itself is never refused for it.
"""

import math
from typing import Any

from msgspec import Raw, Struct, structs
from msgspec.json import Decoder

from proxy.core.chat import Usage
from proxy.core.loose_json import as_object
from proxy.core.money import NANO, to_nano
from proxy.core.splice import FIELDS, NULL
from proxy.providers.garbage import UNREADABLE
from proxy.providers.target import Target

# A report is part of an answer that core.json_guard has let pass.
_ANY = Decoder(object, float_hook=float)  # 1e999 is infinite, and no error
_NUMBERS = (int, float)
_COSTS = frozenset({"cost", "cost_in_usd_ticks", "estimated_cost"})
"""Where a report may say its cost, see `_find_cost`."""
_NO_DETAILS: dict[str, Any] = {}
MARGIN = 2
"""So many times its context a model's prompt or answer may be reported at: the catalogue may be
older than the model."""
MOST_TOKENS = 20_000_000
"""Tokens of a prompt or an answer of a model whose context is not known."""
TICKS = 10_000_000_000
"""xAI's ticks in a dollar."""
MOST_UNPRICED = 100 * NANO
"""What an answer may be reported to cost whose price is not known, in nano-dollars."""


def is_absent(report: Raw) -> bool:
    """Whether there is no report."""
    return report is NULL or not report or report == NULL


def read_object(report: Raw) -> dict[str, Any]:
    """A report as a JSON object; empty where it is none or can't be read."""
    return as_object(_read(report))


def read_number(raw: Raw) -> float | None:
    """A finite number; None for anything else."""
    value = _read(raw)
    try:
        return float(value) if _is_number(value) and math.isfinite(value) else None
    except OverflowError:
        return None


def read_member(report: Raw, name: str) -> Raw:
    """A field of a JSON object, unread; null where there is none."""
    try:
        return FIELDS.decode(report).get(name, NULL)
    except UNREADABLE:
        return NULL


def _read(report: Raw) -> Any:
    try:
        return _ANY.decode(report)
    except UNREADABLE:
        return None


class Counts(Struct, frozen=True, kw_only=True):
    """Counts of tokens as they are reported: anything may stand there."""

    input: Any = None
    output: Any = None
    cached: Any = None
    cache_write: Any = None
    cache_write_1h: Any = None
    reasoning: Any = None


def believe(target: Target, counts: Counts, texts: int = 1) -> Usage | None:
    """The usage of such counts, of which one that is missing is 0; None where it is not to be
    believed, or nothing is reported. texts: how many there are, each with a context for itself."""
    if counts.input is None and counts.output is None:
        return None
    given = list(structs.astuple(counts))
    input, output, *parts = _read_tokens(given, _bound_tokens(target, texts))
    input = 0 if counts.input is None else input
    output = 0 if counts.output is None else output
    if input is None or output is None:
        return None
    cached, cache_write, cache_write_1h, reasoning = parts
    return Usage(
        input=input,
        output=output,
        cached=cached,
        cache_write=cache_write,
        cache_write_1h=cache_write_1h,
        reasoning=reasoning,
    )


class UsageReport(Struct, frozen=True):
    """A report of OpenAI's form, read."""

    usage: Usage | None = None
    """None: nothing is reported, or nothing that is to be believed."""
    is_sound: bool = True
    """Whether all that it says of usage is believed, so that it may go on as it came."""


def read_usage(target: Target, report: Raw, texts: int = 1) -> UsageReport:
    """Reads a report of OpenAI's form, by whichever names a provider gives its parts, and what it
    says of the cost. texts: as in `believe`."""
    fields = _read(report)
    if not (fields and isinstance(fields, dict)):
        return UsageReport(None, is_absent(report))
    most = _bound_tokens(target, texts)
    given = _list_counts(fields)
    counts = _read_tokens(given, most)
    has_cost = not _COSTS.isdisjoint(fields) and _find_cost(fields) is not None
    cost = read_cost(target, fields, texts) if has_cost else None
    is_cost_strange = has_cost and cost is None
    is_sound = counts == given and not is_cost_strange
    if cost is None and given[:-1].count(None) == len(given) - 1:  # of a total alone no price
        return UsageReport(None, is_sound)
    input, output, *cached, cache_write, reasoning, total = counts
    input, output = 0 if given[0] is None else input, 0 if given[1] is None else output
    if input is None or output is None or (is_cost_strange and not input + output):
        return UsageReport(None, False)
    cached = [count for count in cached if count is not None]
    if reasoning is None and total is not None and target.spec.thoughts_in_total:
        reasoning = max(0, total - input - output)
    usage = Usage(
        input=input,
        output=output + (_count_beside(input, output, reasoning, total) if reasoning else 0),
        cached=cached[0] if cached else None,
        cache_write=cache_write,
        reasoning=reasoning,
        cost=cost,
    )
    return UsageReport(usage, is_sound)


def _list_counts(fields: dict[str, Any]) -> list[Any]:
    """The counts of a report: prompt, answer, what was cached by three names, and so on; the total
    last."""
    prompt = completion = _NO_DETAILS
    if "prompt_tokens_details" in fields:
        prompt = as_object(fields["prompt_tokens_details"])
    if "completion_tokens_details" in fields:
        completion = as_object(fields["completion_tokens_details"])
    return [
        fields.get("prompt_tokens"),
        fields.get("completion_tokens"),
        prompt.get("cached_tokens"),
        fields.get("prompt_cache_hit_tokens"),  # DeepSeek
        fields.get("cached_tokens"),  # Together
        prompt.get("cache_write_tokens"),
        completion.get("reasoning_tokens", fields.get("reasoning_tokens")),  # the last: Azure
        fields.get("total_tokens"),
    ]


def _count_beside(input: int, output: int, reasoning: int, total: int | None) -> int:
    """The reasoning that is not counted in the output. xAI counts it beside the answer, and both in
    the total. Without a total, reasoning that is more than the answer can be no part of it."""
    if total is None:
        return reasoning if reasoning > output else 0
    return max(0, total - input - output)


def read_cost(target: Target, fields: dict[str, Any], texts: int = 1) -> int | None:
    """What a report says that its answer cost, in nano-dollars; texts: as in `believe`. With a key
    of one's own at the vendor (`is_byok`) `cost` is OpenRouter's fee alone and the vendor bills the
    rest: the caller's request costs both."""
    told = _find_cost(fields)
    if told is None:
        return None
    model = target.model
    most = MOST_UNPRICED
    if model.is_priced:  # a fee for a search, say, is no matter of tokens
        tokens = _bound_tokens(target, texts)
        most = max(NANO, model.prices.bound_cost(Usage(input=tokens, output=tokens)))
    cost = _read_nano(told, most)
    if cost is None or not fields.get("is_byok"):
        return cost
    vendor = as_object(fields.get("cost_details")).get("upstream_inference_cost")
    return cost + (_read_nano(vendor, most) or 0)


def _find_cost(fields: dict[str, Any]) -> Any:
    """What a report says of its cost, in dollars if it is a number: OpenRouter as `cost`,
    Perplexity as the total of an object there, xAI in ticks, DeepInfra as an estimate."""
    cost = fields.get("cost")
    if isinstance(cost, dict):
        return cost.get("total_cost", cost)
    ticks = fields.get("cost_in_usd_ticks")
    if cost is None and ticks is not None:
        return ticks / TICKS if _is_number(ticks) else ticks
    return fields.get("estimated_cost") if cost is None else cost


def _read_nano(value: Any, most: int) -> int | None:
    """Nano-dollars; None for what is no number of dollars from 0 to `most` nano-dollars."""
    return to_nano(value) if _is_number(value) and 0 <= value <= most / NANO else None


def _bound_tokens(target: Target, texts: int) -> int:
    model = target.model
    longest = max(model.context or 0, model.max_output or 0)
    return MARGIN * texts * longest or MOST_TOKENS


def _read_tokens(given: list[Any], most: int) -> list[int | None]:
    """Counts of tokens; None for what is no number from 0 to `most`."""
    return [
        math.ceil(count) if type(count) in _NUMBERS and 0 <= count <= most else None
        for count in given
    ]


def _is_number(value: Any) -> bool:
    return type(value) in _NUMBERS
