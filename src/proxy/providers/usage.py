"""Reads what providers report of an answer's usage: any JSON may stand there.

A report is believed as a whole or not at all. A count of tokens is a number from 0 to what the
model could use, a fraction rounded up; where the prompt's or the answer's is anything else, the
usage counts as not reported and is estimated. The answer itself is never refused for it.
"""

import math
from typing import Any

from msgspec import Raw, Struct, structs

from proxy.core.chat import Usage
from proxy.core.nesting import Decoder
from proxy.providers import faults
from proxy.providers.adapter import Target

UNREPORTED = Raw(b"null")
_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
_ANY = Decoder(object, float_hook=float)  # 1e999 is infinite, and no error
_FIELDS = Decoder(dict[str, Raw])
MARGIN = 2
"""So many times its context a model's prompt or answer may be reported at: the catalogue may be
older than the model."""
MOST_TOKENS = 20_000_000
"""Tokens of a prompt or an answer of a model whose context is not known."""
DOLLAR = 1_000_000_000
MOST_UNPRICED = 100 * DOLLAR
"""What an answer may be reported to cost whose price is not known, in nano-dollars."""


def decoded(report: Raw) -> dict[str, Any]:
    """A report as a JSON object; empty where it is none or can't be read."""
    if not report or report == UNREPORTED:
        return {}
    try:
        value = _ANY.decode(report)
    except faults.UNREADABLE:
        return {}
    return value if isinstance(value, dict) else {}


def number(value: Raw) -> float | None:
    """A finite number; None for anything else."""
    try:
        told: Any = _ANY.decode(value)
        return float(told) if _is_number(told) and math.isfinite(told) else None
    except (*faults.UNREADABLE, OverflowError):
        return None


def member(value: Raw, name: str) -> Raw:
    """A field of a JSON object, unread; null where there is none."""
    if not value or value == UNREPORTED:
        return UNREPORTED
    try:
        return _FIELDS.decode(value).get(name, UNREPORTED)
    except faults.UNREADABLE:
        return UNREPORTED


def is_absent(report: Raw) -> bool:
    """Whether there is no report."""
    return not report or report == UNREPORTED or report == b"{}"


class Report(Struct, frozen=True):
    """A report of OpenAI's form, read."""

    usage: Usage | None = None
    """None: nothing is reported, or nothing that is to be believed."""
    is_sound: bool = True
    """Whether all that it says of usage is believed, so that it may go on as it came."""


def openai_usage(target: Target, report: Raw, texts: int = 1) -> Usage | None:
    """The usage in a report of OpenAI's form. texts: how many there are, each with a context for
    itself."""
    return read_openai(target, report, texts).usage


def read_openai(target: Target, report: Raw, texts: int = 1) -> Report:
    """Reads a report of OpenAI's form, by whichever names a provider gives its parts, and
    OpenRouter's cost."""
    told = decoded(report)
    if not told:
        return Report(None, is_absent(report))
    prompt = _object(told, "prompt_tokens_details")
    completion = _object(told, "completion_tokens_details")
    most = _most_tokens(target, texts)
    cached = (
        prompt.get("cached_tokens"),
        told.get("prompt_cache_hit_tokens"),  # DeepSeek
        told.get("cached_tokens"),  # Together
    )
    cost = _cost(target, told, most)
    parts = (prompt.get("cache_write_tokens"), completion.get("reasoning_tokens"))
    counts = (*cached, *parts, *(told.get(name) for name in _COUNTS))
    is_sound = all(count is None or _is_whole(count, most) for count in counts)
    is_sound = is_sound and (cost is not None or told.get("cost") is None)
    if cost is None and all(count is None for count in counts[:-1]):  # of a total alone no price
        return Report(None, is_sound)
    usage = believed(
        target,
        0 if told.get("prompt_tokens") is None else told["prompt_tokens"],
        told.get("completion_tokens"),
        texts=texts,
        cached=next((n for n in cached if tokens(n, most) is not None), None),
        cache_write=parts[0],
        reasoning=parts[1],
    )
    if usage is None or (cost is None and told.get("cost") is not None and not usage.total):
        return Report(None, False)
    # xAI counts the reasoning beside the answer, and both in the total. Without a total, reasoning
    # that is more than the answer can be no part of it.
    reasoning = usage.reasoning or 0
    total = tokens(told.get("total_tokens"), most)
    if total is None and reasoning > usage.output:
        total = usage.total + reasoning
    beside = max(0, (total or 0) - usage.total) if reasoning else 0
    return Report(structs.replace(usage, output=usage.output + beside, cost=cost), is_sound)


def believed(
    target: Target,
    input: Any,
    output: Any,
    *,
    texts: int = 1,
    cached: Any = None,
    cache_write: Any = None,
    reasoning: Any = None,
) -> Usage | None:
    """The usage of such counts, of which one that is missing is 0; None where it is not to be
    believed, or nothing is reported."""
    most = _most_tokens(target, texts)
    if input is None and output is None:
        return None
    counts = [tokens(0 if value is None else value, most) for value in (input, output)]
    if None in counts:
        return None
    return Usage(
        input=counts[0] or 0,
        output=counts[1] or 0,
        cached=tokens(cached, most),
        cache_write=tokens(cache_write, most),
        reasoning=tokens(reasoning, most),
    )


def tokens(value: Any, most: int) -> int | None:
    """A count of tokens; None for what is no number from 0 to `most`."""
    return math.ceil(value) if _is_number(value) and 0 <= value <= most else None


def _is_whole(value: Any, most: int) -> bool:
    return bool(tokens(value, most) == value)


def _most_tokens(target: Target, texts: int) -> int:
    model = target.model
    longest = max(model.context or 0, model.max_output or 0)
    return MARGIN * texts * longest or MOST_TOKENS


def _cost(target: Target, told: dict[str, Any], most_tokens: int) -> int | None:
    """Nano-dollars. With a key of one's own at the vendor (`is_byok`) `cost` is OpenRouter's
    fee alone and the vendor bills the rest: the caller's request costs both."""
    model = target.model
    most = MOST_UNPRICED
    if model.is_priced:  # a fee for a search, say, is no matter of tokens
        most = max(DOLLAR, model.most(Usage(input=most_tokens, output=most_tokens)))
    cost = _dollars(told.get("cost"), most)
    if cost is None or not told.get("is_byok"):
        return cost
    vendor = _object(told, "cost_details").get("upstream_inference_cost")
    return cost + (_dollars(vendor, most) or 0)


def _dollars(value: Any, most: int) -> int | None:
    """Nano-dollars; None for what is no number of dollars from 0 to `most` nano-dollars."""
    return round(value * DOLLAR) if _is_number(value) and 0 <= value <= most / DOLLAR else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _object(told: dict[str, Any], name: str) -> dict[str, Any]:
    value = told.get(name)
    return value if isinstance(value, dict) else {}
