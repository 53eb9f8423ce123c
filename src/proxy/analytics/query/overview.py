"""GET /analytics/overview: the figures of a dashboard's first screen, in one call of each shard."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, structs

from proxy.analytics.query import parameters
from proxy.analytics.query.report import OF_FIGURES, ReportQuery, build_report, read_report_query
from proxy.analytics.store.messages import (
    KEPT_SECONDS,
    RESOLUTION_SECONDS,
    Dimension,
    Sums,
    SumsQuery,
)
from proxy.core.errors import ProxyError

TOP = 10
"""Groups of a part that may have many."""
TOPS: dict[str, tuple[Dimension, ...]] = {
    "byModel": ("provider", "model"),
    "byUser": ("user",),
    "byStatus": ("status",),
}
"""The parts of the answer that are the top groups, by what."""
RECENT = 3600
"""Seconds. The limits are shown of the providers that were tried within so long: what a pool learns
fades in less, and to ask one wakes an object."""
_STEPS = (60, 300, 900, 3600, 7200, 21_600, 86_400, 604_800)
_MOST_STEPS = 120


class OverviewQuery(Struct, frozen=True, kw_only=True):
    """An overview that a caller asks for."""

    main: ReportQuery
    """By provider, with its steps."""
    tops: dict[str, ReportQuery]
    """By the part of the answer."""
    tried: SumsQuery
    """The providers that were tried of late, by anybody."""

    @property
    def all_sums(self) -> list[SumsQuery]:
        """What the shards are asked, the tops between the others."""
        return [self.main.sums, *(top.sums for top in self.tops.values()), self.tried]


def read_overview_query(params: Mapping[str, str], now: int, user: str | None) -> OverviewQuery:
    """Reads the query parameters, those of GET /analytics without `group_by`.

    now: seconds since 1970; user: the only one whose requests the caller may see. Raises
    InvalidRequest naming the parameter, PermissionDenied.
    """
    parameters.check_names(params, OF_FIGURES)
    window = params.get("window", "1h")
    step = _choose_step(parameters.read_duration("window", window))
    asked = {"step": step, **params, "window": window, "group_by": "provider"}
    main = read_report_query(asked, now, user)
    tops = {
        part: structs.replace(
            main, sums=structs.replace(main.sums, step=None, group_by=group_by, top=TOP)
        )
        for part, group_by in TOPS.items()
    }
    begin, end = parameters.find_borders(now, RECENT, RESOLUTION_SECONDS["minute"])
    tried = SumsQuery(
        resolution="minute",
        begin=begin,
        end=end,
        group_by=("provider",),
        models_only=False,
        counters_only=True,
    )
    return OverviewQuery(main=main, tops=tops, tried=tried)


def _choose_step(window: int) -> str:
    """The shortest step of which a window has no more than a chart can show."""
    kept = next(name for name, seconds in KEPT_SECONDS.items() if window <= seconds)
    least = RESOLUTION_SECONDS[kept]
    step = next(s for s in _STEPS if s % least == 0 and window <= s * _MOST_STEPS)
    return f"{step // 60}m"


def build_figures(
    query: OverviewQuery, answers: Sequence[Sums | ProxyError]
) -> tuple[dict[str, Any], dict[str, str]]:
    """The parts of the answer that are figures, null where one can't be read, and why each of those
    can't be. answers: to all_sums."""
    begun = build_report(query.main, Sums(groups=[]))
    body = {name: begun[name] for name in ("window", "step", "from", "to")}
    unread: dict[str, str] = {}
    main = _try_report(query.main, answers[0])
    if isinstance(main, ProxyError):
        body |= dict.fromkeys(("total", "series", "byProvider"))
        unread = dict.fromkeys(("total", "series", "byProvider"), main.message)
    else:
        series = main["total"].pop("series")
        body |= {"total": main["total"], "series": series, "byProvider": main["groups"]}
    for (part, top), sums in zip(query.tops.items(), answers[1:], strict=False):
        report = _try_report(top, sums)
        if isinstance(report, ProxyError):
            body[part], unread[part] = None, report.message
        else:
            body[part] = report["groups"][:TOP]
    return body, unread


def _try_report(query: ReportQuery, sums: Sums | ProxyError) -> dict[str, Any] | ProxyError:
    try:
        return sums if isinstance(sums, ProxyError) else build_report(query, sums)
    except ProxyError as error:
        return error


def list_tried(answers: Sequence[Sums | ProxyError]) -> list[str] | None:
    """The providers that were tried of late, those tried most first; None: that is not known."""
    sums = answers[-1]
    if isinstance(sums, ProxyError):
        return None
    tried = [group for group in sums.groups if group.totals.attempts]
    tried.sort(key=lambda group: -group.totals.attempts)
    return [str(group.key["provider"]) for group in tried]
