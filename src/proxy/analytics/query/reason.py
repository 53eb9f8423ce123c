"""Why a request went where it did: in words for people, and the data behind them."""

from collections.abc import Iterator

from msgspec import structs

from proxy.analytics.record.request_record import UNSENT, RequestRecord
from proxy.core.chat import CANCELLED, TIERS, Attempt
from proxy.core.choices import Reason, Weighed

_SCORES = {
    "cheapest": "an expected cost of {:.3g} dollars",
    "fastest": "an expected first token after {:.0f} ms",
    "reliable": "a probability of success of {:.1%}",
    "balanced": "a distance of {:.2f} from the best in cost, time and success together",
    "weighted": "a share of {:.0%}",
}
"""What a score is, by its strategy."""
_TIERS = {"memory": "the isolate's memory", "kv": "KV", "r2": "R2"}
_WELL = ("ok", CANCELLED)
_OUTCOMES = {
    "bad_request": "refused the request",
    "unauthorized": "refused the proxy's key or account",
    "not_found": "does not have the model",
    "too_large": "found the request too large",
    "rate_limited": "was limited",
    "unavailable": "failed",
    "timeout": "took too long",
    "network": "could not be reached, or the connection broke",
    "garbage": "sent an answer that can't be read",
    CANCELLED: "was given up, since another was faster,",
    "limited": "was not asked: a limit of the proxy's forbade it",
    "breaker_open": "was not asked: its circuit breaker was open",
}


def show_reason(record: RequestRecord) -> dict[str, object]:
    """The reason of a choice: `words` are sentences, the rest is what they are made from."""
    reason = record.reason or Reason(strategy=record.strategy or "priority")
    return {
        "words": [*_tell(record, reason)],
        "strategy": reason.strategy,
        "target": reason.choice or None,
        "candidates": [structs.asdict(weighed) for weighed in reason.weighed],
        "failed": [attempt for attempt in record.attempts if attempt.outcome not in _WELL],
    }


def _tell(record: RequestRecord, reason: Reason) -> Iterator[str]:
    if record.cache_status == "hit":
        yield _tell_hit(record)
        return
    if record.cache_status == "stale":
        yield "No provider answered: the cache's answer, too old as it was, was given instead."
    elif record.provider:
        yield from _tell_choice(record, reason)
    else:
        why = f": {record.error}" if record.error else ""
        yield f"No provider was asked{why}."
    for attempt in record.attempts:
        if attempt.outcome != "ok":
            yield _tell_failure(attempt)
        elif attempt.replaces:
            yield f"{attempt.replaces} has ended; {attempt.model} answers for it."
    if record.error and any(attempt.outcome == "ok" for attempt in record.attempts):
        yield f"Its answer broke off: {record.ended or record.error}."


def _tell_hit(record: RequestRecord) -> str:
    made_by = f" It was made by {_name(record.provider, record.model)}." if record.provider else ""
    if not record.cache_tier:
        return f"The same was being asked already, and its answer was shared.{made_by}"
    return f"The answer was in the cache, in {_TIERS[record.cache_tier]}.{made_by}"


def _tell_choice(record: RequestRecord, reason: Reason) -> Iterator[str]:
    name = _name(record.provider, record.model)
    if reason.choice:
        yield f"{record.requested_model} is an alias; its target {reason.choice} is {name}."
    if reason.is_home:
        yield f"The conversation was at {record.provider} before: its prompt is in a cache there."
    if reason.weighed:
        yield _tell_order(reason)
    elif not (reason.choice or reason.is_home):
        yield _tell_name(record, name)


def _tell_name(record: RequestRecord, name: str) -> str:
    asked = record.requested_model
    if asked in TIERS:
        return f"{name} is the first of the chain that may be asked, for the tier {asked}."
    if record.has_fallen_back:
        return f"{asked} was asked for; {name} follows it in the chain."
    return f"{asked or name} was asked for by name."


def _tell_order(reason: Reason) -> str:
    first, *others = reason.weighed
    unit = _SCORES.get(reason.strategy)
    told = [_tell_weighed(weighed, unit) for weighed in (first, *others)]
    notes = {
        "explored": "It came first to be measured, for little is known of it of late.",
        "home": "The conversation's provider comes first.",
        "drawn": "It was drawn by the shares.",
        "close to the best": "It counts as good as the best.",
    }
    why = next((words for note, words in notes.items() if note in first.note), "")
    return f"The strategy {reason.strategy} put {', before '.join(told)}. {why}".rstrip()


def _tell_weighed(weighed: Weighed, unit: str | None) -> str:
    name = _name(weighed.provider, weighed.model)
    if weighed.score is None or unit is None:
        return name
    return f"{name} with {unit.format(weighed.score)}"


def _tell_failure(attempt: Attempt) -> str:
    name = _name(attempt.provider, attempt.model)
    what = _OUTCOMES.get(attempt.outcome, attempt.outcome)
    if attempt.outcome in UNSENT:
        return f"{name} {what}."
    status = f" (status {attempt.status})" if attempt.status else ""
    return f"{name} {what}{status} after {attempt.ms} ms."


def _name(provider: str, model: str) -> str:
    return f"{provider}/{model}" if model else provider
