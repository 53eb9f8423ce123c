"""How often callers may read figures."""

import pytest

from proxy.core.principal import Principal
from proxy.limits.readings import RATE, USERS, Readings
from tests.unit.doubles import ManualClock
from tests.unit.routing.making import whole
from tests.unit.serving.limited import ADMIN, KEYED, Limited
from tests.unit.serving.making import by_host

PATHS = [
    *("/analytics", "/analytics/insights", "/analytics/overview", "/analytics/requests"),
    *("/analytics/requests/req_x", "/analytics/sessions", "/analytics/tags", "/health/providers"),
    "/analytics/requests/req_x/body",
]


@pytest.mark.parametrize("path", PATHS)
async def test_a_user_who_reads_without_end_is_told_to_wait(path: str) -> None:
    limited = Limited(by_host(openai=whole("Hi!")), ManualClock())
    for _ in range(RATE.burst):
        assert (await limited.fetch("GET", path, **KEYED)).status != 429
    refused = await limited.fetch("GET", path, **KEYED)
    assert (refused.status, refused.headers["retry-after"]) == (429, "1")
    assert refused.json["error"]["limit"] == "figures"
    for other in PATHS:
        assert (await limited.fetch("GET", other, **KEYED)).status == 429
    bob = {"authorization": f"Bearer {limited.issue('key_2', 'bob')}"}
    for headers in (bob, ADMIN):
        assert (await limited.fetch("GET", path, **headers)).status != 429
    assert (await limited.fetch("GET", "/me", **KEYED)).status == 200
    assert (await limited.keyed()).status == 200
    limited.clock.time += 1
    assert (await limited.fetch("GET", path, **KEYED)).status != 429
    assert (await limited.fetch("GET", path, **KEYED)).status == 429


async def test_operators_read_as_often_as_they_like() -> None:
    limited = Limited(by_host(openai=whole("Hi!")), ManualClock())
    for _ in range(2 * RATE.burst):
        assert (await limited.fetch("GET", "/health/providers", **ADMIN)).status == 200


async def test_only_so_many_users_are_remembered() -> None:
    readings = Readings(ManualClock())
    for number in range(USERS + 1):
        readings.admit(Principal(user=f"user {number}"))
    assert len(readings._buckets) == USERS
