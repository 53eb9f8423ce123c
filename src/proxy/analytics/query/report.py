"""GET /analytics: its query parameters, and the answers of the shards as one report."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, cast, get_args

import msgspec
from msgspec import Raw, Struct

from proxy.analytics.query import parameters
from proxy.analytics.query.csv_text import flatten, render_lines
from proxy.analytics.store.messages import (
    KEPT_SECONDS,
    MOST_GROUPS,
    RESOLUTION_SECONDS,
    Dimension,
    Resolution,
    Sums,
    SumsGroup,
    SumsQuery,
)
from proxy.analytics.store.sketch import Sketch, estimate_quantile
from proxy.analytics.store.totals import Totals, add_up
from proxy.core.errors import InvalidRequest, invalid
from proxy.core.money import to_dollars
from proxy.core.time import format_time

STEPS = 1_500
"""The most that a window may have."""
DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)
GROUPED = tuple(name for name in DIMENSIONS if name != "tag")
"""What requests may be grouped by: one with several tags would count in several groups."""
OF_FIGURES = ("window", "step", *DIMENSIONS)
PARAMETERS = ("group_by", "format", *OF_FIGURES)


class ReportQuery(Struct, frozen=True, kw_only=True):
    """A report that a caller asks for."""

    window: str
    """As the caller wrote it."""
    sums: SumsQuery
    is_csv: bool = False


def read_report_query(params: Mapping[str, str], now: int, user: str | None = None) -> ReportQuery:
    """Reads the query parameters at `now` (seconds since 1970). user: the only one whose requests
    the caller may see.

    Raises InvalidRequest naming the parameter, PermissionDenied.
    """
    parameters.check_names(params, PARAMETERS)
    text = params.get("window", "1h")
    window = parameters.read_duration("window", text)
    step = parameters.read_duration("step", params["step"]) if "step" in params else None
    resolution = _choose_resolution(window, step)
    row = step or RESOLUTION_SECONDS[resolution]
    begin, end = parameters.find_borders(now, window, row)
    group_by = _read_group_by(params.get("group_by", ""))
    sums = SumsQuery(
        resolution=resolution,
        begin=begin,
        end=end,
        step=step,
        group_by=group_by,
        filters=parameters.read_filters(params, DIMENSIONS, user),
        models_only="endpoint" not in (*params, *group_by),
    )
    return ReportQuery(window=text, sums=sums, is_csv=parameters.read_format(params) == "csv")


def _choose_resolution(window: int, step: int | None) -> Resolution:
    """The rows to read: for steps the longest that fit into one, else the shortest that are kept
    for the whole window. Raises InvalidRequest."""
    kept: list[Resolution] = [name for name, seconds in KEPT_SECONDS.items() if window <= seconds]
    if step is None:
        return kept[0]
    if step > window:
        raise invalid("step", "Must not be longer than the window")
    if window > step * STEPS:
        raise invalid("step", f"Must be longer: a window has at most {STEPS} steps")
    for resolution in reversed(kept):
        if step % RESOLUTION_SECONDS[resolution] == 0:
            return resolution
    raise invalid("step", f"Must be whole {kept[0]}s: nothing shorter is kept for so long a window")


def _read_group_by(text: str) -> tuple[Dimension, ...]:
    names = text.split(",") if text else []
    for name in names:
        if name not in GROUPED:
            raise invalid(
                "group_by", f"Must be some of {','.join(GROUPED)}, with commas between them"
            )
    if len(set(names)) < len(names):
        raise invalid("group_by", "Must not name anything twice")
    return cast(tuple[Dimension, ...], tuple(names))


def merge_sums(query: SumsQuery, answers: Iterable[Sums]) -> Sums:
    """The answers of all shards as one. Raises InvalidRequest where there are too many groups."""
    groups: dict[tuple[object, ...], SumsGroup] = {}
    lost = 0
    for sums in answers:
        if sums.is_cut:
            raise _too_many_groups(query)
        lost += sums.lost
        for group in sums.groups:
            known = groups.setdefault((group.at, *group.key.values()), group)
            if known is not group:
                known.totals.add(group.totals)
    return Sums(groups=[*groups.values()], lost=lost)


def render_report(query: ReportQuery, sums: Sums) -> bytes:
    """The body of the answer. Raises InvalidRequest where it would be too long."""
    report = build_report(query, sums)
    return _render_csv(query, report) if query.is_csv else msgspec.json.encode(report)


def _render_csv(query: ReportQuery, report: dict[str, Any]) -> bytes:
    """A line for each group, or for each step of each."""
    names = query.sums.group_by
    header = [*names, *(["at"] if query.sums.step else []), *flatten(show_totals(Totals()))]
    lines = (
        [*group["key"].values(), *figures]
        for group in report["groups"]
        for figures in _list_figures(group)
    )
    return render_lines([header, *lines])


def _list_figures(group: dict[str, Any]) -> list[list[object]]:
    """A group's cells beside its key, or those of each of its steps."""
    if "series" not in group:
        return [[*flatten({name: own for name, own in group.items() if name != "key"}).values()]]
    steps = (msgspec.json.decode(msgspec.json.encode(step)) for step in group["series"])
    return [[*flatten(step).values()] for step in steps]


def build_report(query: ReportQuery, sums: Sums) -> dict[str, Any]:
    """The report, the groups with the most requests and failed attempts first. Raises
    InvalidRequest where it would be too long."""
    by_key: defaultdict[tuple[object, ...], list[SumsGroup]] = defaultdict(list)
    for group in sums.groups:
        by_key[tuple(group.key.values())].append(group)
    steps = _list_steps(query.sums)
    if len(by_key) * max(len(steps), 1) > MOST_GROUPS:
        raise _too_many_groups(query.sums)
    wholes = [(parts[0].key, _add_parts(parts), parts) for parts in by_key.values()]
    wholes.sort(key=lambda group: (-_count(group[1]), [*map(str, group[0].values())]))
    return {
        "window": query.window,
        "from": format_time(query.sums.begin * 1000),
        "to": format_time(query.sums.end * 1000),
        "step": query.sums.step,
        "resolution": RESOLUTION_SECONDS[query.sums.resolution],
        "groups": [
            {"key": {name: value or None for name, value in key.items()}}
            | show_totals(whole)
            | _show_series(steps, parts)
            for key, whole, parts in wholes
        ],
        "total": show_totals(add_up(whole for _, whole, _ in wholes))
        | _show_series(steps, sums.groups),
    }


def _count(totals: Totals) -> int:
    """What groups are ordered by: a provider from which all went on to another counts too."""
    return totals.requests + totals.failed_attempts


def _list_steps(query: SumsQuery) -> range:
    return range(query.begin, query.end, query.step) if query.step else range(0)


def show_totals(totals: Totals) -> dict[str, object]:
    """Totals as callers see them: money in dollars, times in ms, null where nothing was
    measured."""
    mean = round(totals.ms / totals.requests, 1) if totals.requests else None
    return {
        "requests": totals.requests,
        "errors": totals.errors,
        "errorRate": _share(totals.errors, totals.requests),
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
        "failureRate": _share(totals.failed_attempts, totals.attempts),
        "inputTokens": totals.input,
        "outputTokens": totals.output,
        "cachedTokens": totals.cached,
        "reasoningTokens": totals.reasoning,
        "cost": to_dollars(totals.cost),
        "costSaved": to_dollars(totals.saved),
        "unpriced": totals.unpriced,
        "bytesIn": totals.bytes_in,
        "bytesOut": totals.bytes_out,
        "latencyMs": _show_quantiles(totals.latency) | {"mean": mean},
        "firstTokenMs": _show_quantiles(totals.first),
    }


def _share(part: int, whole: int) -> float | None:
    """A share of 1; None of nothing."""
    return round(part / whole, 6) if whole else None


def _too_many_groups(query: SumsQuery) -> InvalidRequest:
    if query.step is None:
        return invalid(
            "group_by",
            f"There are more than {MOST_GROUPS} groups: take fewer dimensions, or filter",
        )
    return invalid(
        "step",
        f"All groups have more than {MOST_GROUPS} steps: take longer ones, or fewer dimensions",
    )


def _show_quantiles(sketch: Sketch) -> dict[str, float | None]:
    """To a tenth of a ms: whole ones would be off by more than 5 % of 12 ms."""
    found = {f"p{percent}": estimate_quantile(sketch, percent / 100) for percent in (50, 95, 99)}
    return {name: None if ms is None else round(ms, 1) for name, ms in found.items()}


def _add_parts(parts: list[SumsGroup]) -> Totals:
    return parts[0].totals if len(parts) == 1 else add_up(part.totals for part in parts)


_NOTHING = msgspec.json.encode(show_totals(Totals()))[1:]


def _show_series(steps: range, parts: list[SumsGroup]) -> dict[str, list[object]]:
    """Every step. Those without traffic are most, and are not encoded anew."""
    if not steps:
        return {}
    by_step: defaultdict[int | None, list[SumsGroup]] = defaultdict(list)
    for part in parts:
        by_step[part.at].append(part)
    series: list[object] = []
    for at in steps:
        moment = format_time(at * 1000)
        if at in by_step:
            series.append({"at": moment} | show_totals(_add_parts(by_step[at])))
        else:
            series.append(Raw(b'{"at":"%s",%s' % (moment.encode(), _NOTHING)))
    return {"series": series}
