"""GET /analytics: the answers of the shards, merged and shown."""

from collections.abc import Iterable
from typing import Any

import msgspec

from proxy.analytics.query import parameters
from proxy.analytics.query.question import Question
from proxy.analytics.store.figures import MOST, Group, Query, Sums
from proxy.analytics.store.totals import Sketch, Totals, quantile, total
from proxy.core.errors import InvalidRequest

NANO = 1_000_000_000


def merge(query: Query, answers: Iterable[Sums]) -> Sums:
    """The answers of all shards as one. Raises InvalidRequest where there are too many groups."""
    groups: dict[tuple[Any, ...], Group] = {}
    lost = 0
    for sums in answers:
        if sums.cut:
            raise _too_many(query)
        lost += sums.lost
        for group in sums.groups:
            known = groups.setdefault((group.at, *group.key.values()), group)
            if known is not group:
                known.totals.add(group.totals)
    return Sums(groups=[*groups.values()], lost=lost)


def render(question: Question, sums: Sums) -> bytes:
    """The body of the answer. Raises InvalidRequest where it would be too long."""
    query = question.query
    keys: dict[tuple[Any, ...], list[Group]] = {}
    for group in sums.groups:
        keys.setdefault(tuple(group.key.values()), []).append(group)
    steps = [*range(query.begin, query.end, query.step)] if query.step else []
    if len(keys) * max(len(steps), 1) > MOST:
        raise _too_many(query)
    shown = [(parts[0].key, _whole(parts), parts) for parts in keys.values()]
    shown.sort(key=lambda group: (-group[1].requests, [*map(str, group[0].values())]))
    return msgspec.json.encode(
        {
            "window": question.window,
            "from": parameters.moment(query.begin),
            "to": parameters.moment(query.end),
            "step": query.step,
            "resolution": question.resolution,
            "groups": [
                {"key": {name: value or None for name, value in key.items()}}
                | figures(whole)
                | _series(steps, parts)
                for key, whole, parts in shown
            ],
            "total": figures(total(whole for _, whole, _ in shown)) | _series(steps, sums.groups),
        }
    )


def figures(totals: Totals) -> dict[str, Any]:
    """Sums as they are told: money in dollars, times in ms, null where nothing was measured."""
    mean = round(totals.ms / totals.requests, 1) if totals.requests else None
    return {
        "requests": totals.requests,
        "errors": totals.errors,
        "limited": totals.limited,
        "clientGone": totals.gone,
        "cacheHits": totals.hits,
        "cache": {
            "memory": totals.hits_memory,
            "kv": totals.hits_kv,
            "r2": totals.hits_r2,
            "flight": totals.hits_flight,
            "stale": totals.stale,
            "miss": totals.misses,
            "bypass": totals.bypassed,
        },
        "fallbacks": totals.fallbacks,
        "attempts": totals.attempts,
        "failedAttempts": totals.failed_attempts,
        "inputTokens": totals.input,
        "outputTokens": totals.output,
        "cachedTokens": totals.cached,
        "reasoningTokens": totals.reasoning,
        "cost": totals.cost / NANO,
        "costSaved": totals.saved / NANO,
        "unpriced": totals.unpriced,
        "bytesIn": totals.bytes_in,
        "bytesOut": totals.bytes_out,
        "latencyMs": _quantiles(totals.latency) | {"mean": mean},
        "firstTokenMs": _quantiles(totals.first),
    }


def _too_many(query: Query) -> InvalidRequest:
    if query.step is None:
        return parameters.invalid(
            "group_by", f"There are more than {MOST} groups: take fewer dimensions, or filter"
        )
    return parameters.invalid(
        "step", f"All groups have more than {MOST} steps: take longer ones, or fewer dimensions"
    )


def _quantiles(sketch: Sketch) -> dict[str, float | None]:
    """To a tenth of a ms: whole ones would be off by more than 5 % of 12 ms."""
    found = {f"p{percent}": quantile(sketch, percent / 100) for percent in (50, 95, 99)}
    return {name: None if ms is None else round(ms, 1) for name, ms in found.items()}


def _whole(parts: list[Group]) -> Totals:
    return parts[0].totals if len(parts) == 1 else total(part.totals for part in parts)


_NOTHING = msgspec.json.encode(figures(Totals()))[1:]


def _series(steps: list[int], parts: list[Group]) -> dict[str, Any]:
    """Every step. Those without traffic are most, and are not encoded anew."""
    if not steps:
        return {}
    found: dict[int | None, Totals] = {}
    for part in parts:
        known = found.get(part.at)
        found[part.at] = part.totals if known is None else total((known, part.totals))
    return {"series": [_figures_at(at, found.get(at)) for at in steps]}


def _figures_at(at: int, totals: Totals | None) -> Any:
    moment = parameters.moment(at)
    if totals is None:
        return msgspec.Raw(b'{"at":"%s",%s' % (moment.encode(), _NOTHING))
    return {"at": moment} | figures(totals)
