"""What callers read of a limit that refuses, with the figures that hold now."""

from proxy.core.money import spell_dollars
from proxy.core.permit import Offer, Refusal
from proxy.core.scopes import FREE_MODELS, PROVIDER
from proxy.core.time import format_time
from proxy.limits.account_messages import ReservationAnswer, ReservationRequest
from proxy.limits.lease_messages import LeaseGrant
from proxy.limits.token_bucket import Rate

UNREACHABLE = "limiter"
"""The name of the limit that is met where an object does not answer."""
PER_MINUTE = "requests_per_minute"
"""The name of a key's limit of requests a minute, as many at once."""
THE_KEY = "the key"
"""What a key's account is called to callers."""
UNPRICED = "budget_unpriced"
"""The name of the limit that a model without a known price meets."""


def refuse_unreachable() -> Refusal:
    """For an object that gave no answer."""
    return Refusal(
        limit=UNREACHABLE, message="The limits can't be checked now. Try again.", retry_after=1
    )


def refuse_unpriced(offer: Offer, label: str) -> Refusal:
    """For a model whose price is not known. label: what has a budget."""
    return Refusal(
        limit=UNPRICED,
        message=f"{label[:1].upper()}{label[1:]} has a budget, and no price is known of"
        f" {offer.provider}/{offer.model}. Ask a model with a price, give this one its price in"
        " the catalogue, or let it count at its provider's highest price with"
        " BUDGET_UNPRICED=tier_max.",
    )


def refuse_closed(provider: str, scope: str, wait: float | None) -> Refusal:
    """For a provider that is left alone for some seconds, in one scope of its limits."""
    return Refusal(
        limit=f"provider:{provider}",
        message=f"{provider} has asked for quiet{_name_scope(scope)}. {_say_when(wait)}",
        retry_after=wait,
    )


def refuse_tokens(limit: str, rate: Rate, grant: LeaseGrant, label: str = "") -> Refusal:
    """For a bucket that grants nothing. limit: its name to callers; rate: the configured one;
    label: what it limits, if no user or key."""
    wait = _seconds(grant.wait)
    _, _, provider = limit.partition(":")
    if grant.limit == "closed":
        return refuse_closed(provider, grant.scope, wait)
    if grant.limit == "share":
        message = (
            f"Rate limit exceeded: {provider} bears less{_name_scope(grant.scope)} now than is"
            f" asked of it. This user's share of that is {_say_rate(grant.rate or rate)}, all of it"
            f" used up, in place of the configured {_say_rate(rate)}. {_say_when(wait)}"
        )
    else:
        of_what = f"of this user at {provider}" if provider else "of this key"
        of_what = f"of {label}" if label else of_what
        allowed = f"{rate.burst} a minute" if limit == PER_MINUTE else _say_rate(rate)
        message = f"Rate limit exceeded: the requests {of_what} ({allowed}). {_say_when(wait)}"
    return Refusal(limit=limit, message=message, retry_after=wait)


def refuse_reservation(
    answer: ReservationAnswer, request: ReservationRequest, label: str = THE_KEY
) -> Refusal | None:
    """For an account; None: it has granted the request. label: what it is called to callers."""
    if answer.limit is None:
        return None
    wait = _seconds(answer.wait)
    if answer.limit == "tokens_per_minute":
        message = (
            f"Rate limit exceeded: the key's {answer.quota} tokens a minute, of which"
            f" {max(0, answer.left)} are left. {_say_when(wait)}"
        )
    else:
        period = answer.limit.removeprefix("budget_")
        # What the callers of an alias have spent together is not for each of them to know.
        shown = f": {spell_dollars(answer.left)} are left, and" if label == THE_KEY else ";"
        message = (
            f"The budget of {label}, {spell_dollars(answer.quota)} a {period}, does not allow"
            f" this{shown} the answer may cost {spell_dollars(request.nano_usd)}. A lower limit of"
            f" its tokens reserves less. The budget is renewed at {format_time(answer.resets_at)}."
        )
    return Refusal(limit=answer.limit, message=message, retry_after=wait)


def _say_when(wait: float | None) -> str:
    """When to come back, in seconds. None: waiting does not help."""
    if wait is None:
        return "It will not be admitted later either."
    return f"Try again in {max(1, -(-wait // 1)):.0f} s."


def _say_rate(rate: Rate) -> str:
    return f"{rate.per_hour} requests an hour, {rate.burst} at once"


def _name_scope(scope: str) -> str:
    names = {PROVIDER: "", FREE_MODELS: " for its free models"}
    return names.get(scope, f" for {scope}")


def _seconds(ms: int | None) -> float | None:
    return None if ms is None else ms / 1000
