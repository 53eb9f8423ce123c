"""What callers read of a limit that refuses, with the figures that hold now."""

from proxy.limits.lease_messages import Grant
from proxy.limits.scopes import FREE_MODELS, PROVIDER
from proxy.limits.token_bucket import Rate


def refused(limit: str, rate: Rate, grant: Grant, wait: float | None) -> str:
    """Why a bucket gives nothing. limit: what callers know it as; rate: the configured one; wait:
    seconds until it does, None: never."""
    _, _, provider = limit.partition(":")
    if grant.limit == "closed":
        return asked_for_quiet(provider, grant.scope, wait)
    if grant.limit == "share":
        now = grant.rate or rate
        return (
            f"Rate limit exceeded: {provider} bears less{_of(grant.scope)} now than is asked of"
            f" it. This user's share of that is {_figures(now)}, all of it used up, in place of"
            f" the configured {_figures(rate)}. {again(wait)}"
        )
    whose = f"of this user at {provider}" if provider else "of this key"
    return f"Rate limit exceeded: the requests {whose} ({_figures(rate)}). {again(wait)}"


def _figures(rate: Rate) -> str:
    return f"{rate.per_hour} requests an hour, {rate.burst} at once"


def asked_for_quiet(provider: str, scope: str, wait: float | None) -> str:
    """Why a provider is left alone, for some seconds, in one scope of its limits."""
    return f"{provider} has asked for quiet{_of(scope)}. {again(wait)}"


def _of(scope: str) -> str:
    names = {PROVIDER: "", FREE_MODELS: " for its free models"}
    return names.get(scope, f" for {scope}")


def again(wait: float | None) -> str:
    """When to come back, in seconds. None: waiting does not help."""
    return (
        "It will not be admitted later either."
        if wait is None
        else (f"Try again in {max(1, -(-wait // 1)):.0f} s.")
    )
