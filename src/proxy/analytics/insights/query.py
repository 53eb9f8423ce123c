"""GET /analytics/insights: its query parameter, and what has to be read for it."""

from collections.abc import Mapping

from msgspec import Struct, structs

from proxy.analytics.query import parameters
from proxy.analytics.store.messages import KEPT_SECONDS, RESOLUTION_SECONDS, Resolution, SumsQuery


class InsightsQuery(Struct, frozen=True, kw_only=True):
    """Insights that a caller asks for."""

    window: str
    """As the caller wrote it."""
    seconds: int
    users: SumsQuery
    """The sums of the window by user,"""
    tried: SumsQuery
    """the same of the requests for which a model was tried,"""
    models: SumsQuery
    """the sums by provider and model,"""
    past: SumsQuery
    """and of the window before, as long, by user."""


def read_insights_query(
    params: Mapping[str, str], now: int, user: str | None = None
) -> InsightsQuery:
    """Reads the query parameter at `now` (seconds since 1970). user: the only one whose requests
    the caller may see. Raises InvalidRequest."""
    parameters.check_names(params, ("window",))
    text = params.get("window", "7d")
    window = parameters.read_duration("window", text)
    # Rows that are kept for the window before it too.
    kept: list[Resolution] = [name for name, most in KEPT_SECONDS.items() if 2 * window <= most]
    resolution = kept[0] if kept else "day"
    begin, end = parameters.find_borders(now, window, RESOLUTION_SECONDS[resolution])
    query = SumsQuery(
        resolution=resolution,
        begin=begin,
        end=end,
        group_by=("user",),
        counters_only=True,
        filters={} if user is None else {"user": user},
    )
    return InsightsQuery(
        window=text,
        seconds=window,
        users=query,
        tried=structs.replace(query, tried_only=True),
        models=structs.replace(query, group_by=("provider", "model")),
        past=structs.replace(query, begin=2 * begin - end, end=begin),
    )
