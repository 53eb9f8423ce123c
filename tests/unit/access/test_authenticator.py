"""Who is let in: the deployment's keys, issued ones, and nobody else."""

from collections.abc import Coroutine
from typing import Any

import pytest

from proxy.access.authenticator import METRICS, format_secret, hash_secret, read_authorizations
from proxy.access.keys import LOOKUP, Key
from proxy.core.errors import AuthenticationFailed, Unavailable
from proxy.core.principal import Principal
from tests.unit.access.making import HERE, SECRET, Isolate
from tests.unit.doubles import ManualClock
from tests.unit.memory_objects import Keys, MemoryObjects


class TestOwnKeys:
    def test_they_need_no_waiting(self, isolate: Isolate) -> None:
        admit = isolate.authenticator.authenticate
        assert admit("Bearer user-key", HERE) == Principal(user="default", via="proxy_key")
        assert admit("bearer  admin-key ", HERE) == Principal(
            user="admin", role="admin", via="admin_token"
        )

    @pytest.mark.parametrize(
        ("header", "code"),
        [
            (None, "missing_api_key"),
            ("", "missing_api_key"),
            ("Basic dXNlcg==", "invalid_api_key"),
            ("Bearer", "invalid_api_key"),
            ("Bearer ", "invalid_api_key"),
            ("user-key", "invalid_api_key"),
        ],
    )
    def test_headers_without_a_key(self, isolate: Isolate, header: str, code: str) -> None:
        with pytest.raises(AuthenticationFailed) as caught:
            isolate.authenticator.authenticate(header, HERE)
        assert caught.value.code == code

    @pytest.mark.parametrize("key", ["user-key2", "USER-KEY", "\udcff", "aep_", SECRET[:-1]])
    async def test_other_keys(self, isolate: Isolate, key: str) -> None:
        assert await isolate.refusal(key) == "invalid_api_key"

    @pytest.mark.parametrize("key", ["user-key", "admin-key", "another", SECRET])
    async def test_each_is_compared_with_all_of_them(
        self, isolate: Isolate, key: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """So that the time says neither which nor how much of it is right."""
        compared: list[str] = []

        def compare(own: str, given: str) -> bool:
            compared.append(own)
            return own == given

        monkeypatch.setattr("proxy.access.authenticator.hmac.compare_digest", compare)
        caller = isolate.authenticator.authenticate(f"Bearer {key}", HERE)
        waits(caller)
        assert compared == [hash_secret("user-key"), hash_secret("admin-key")]

    async def test_closed_without_any_and_says_how_to_set_one(
        self, clock: ManualClock, objects: MemoryObjects
    ) -> None:
        closed = Isolate(clock, objects, ENVIRONMENT="staging")
        with pytest.raises(AuthenticationFailed, match="wrangler secret put PROXY_API_KEY"):
            await closed.authenticate(SECRET)

    async def test_open_in_development_whatever_is_sent(
        self, clock: ManualClock, objects: MemoryObjects, store: Keys
    ) -> None:
        development = Isolate(clock, objects, ENVIRONMENT="development")
        assert (await development.authenticate(None)).user == "anonymous"
        assert (await development.authenticate("sk-anything")).user == "anonymous"
        assert len(store.called(LOOKUP)) == 0

    async def test_an_issued_key_is_itself_in_open_development(
        self, clock: ManualClock, objects: MemoryObjects, store: Keys
    ) -> None:
        development = Isolate(clock, objects, ENVIRONMENT="development")
        mine, never_issued = (format_secret("development", digit * 64) for digit in "ab")
        store.book.issue(Key(id="key_2", user="ann", created_at=0), hash_secret(mine))
        assert (await development.authenticate(mine)).user == "ann"
        assert await development.refusal(never_issued) == "invalid_api_key"
        assert (await development.authenticate(SECRET)).user == "anonymous"

    async def test_the_token_of_metrics_alone_closes_development(
        self, clock: ManualClock, objects: MemoryObjects
    ) -> None:
        isolate = Isolate(clock, objects, ENVIRONMENT="development", METRICS_TOKEN="read-only")
        assert await isolate.authenticate("read-only") == METRICS
        assert (METRICS.role, METRICS.admin, METRICS.sees_all) == ("viewer", False, True)
        assert await isolate.refusal(None) == "missing_api_key"
        assert await isolate.refusal("sk-anything") == "invalid_api_key"


def waits(caller: Principal | Coroutine[Any, Any, Principal]) -> bool:
    if isinstance(caller, Principal):
        return False
    caller.close()
    return True


def test_a_known_key_needs_no_waiting(isolate: Isolate) -> None:
    assert waits(isolate.authenticator.authenticate(f"Bearer {SECRET}", HERE))
    assert not waits(isolate.authenticator.authenticate("Bearer user-key", HERE))


@pytest.mark.parametrize(
    ("headers", "keys"),
    [
        ({"x-api-key": "k"}, ["k"]),
        ({"api-key": " k "}, ["k"]),
        ({"authorization": "Bearer k", "x-api-key": "b", "api-key": "c"}, ["k", "b", "c"]),
        ({"authorization": "bearer  k", "x-api-key": "k"}, ["k"]),
        ({"authorization": "Bearer", "x-api-key": "k"}, ["k"]),
        ({"authorization": "", "x-api-key": "", "api-key": "k"}, ["k"]),
        ({"authorization": "Basic dXNlcg==", "x-api-key": "k"}, ["k"]),
        ({}, []),
        ({"authorization": "Basic x"}, []),
        ({"x-api-key": " "}, []),
    ],
)
def test_where_keys_may_stand(headers: dict[str, str], keys: list[str]) -> None:
    assert read_authorizations(headers) == tuple(f"Bearer {key}" for key in keys)


@pytest.mark.parametrize("right", ["authorization", "x-api-key"])
@pytest.mark.parametrize("key", ["user-key", SECRET])
async def test_of_two_keys_it_takes_that_which_is_right(
    isolate: Isolate, right: str, key: str
) -> None:
    headers = {"authorization": "Bearer wrong", "x-api-key": "wrong"}
    headers[right] = f"Bearer {key}" if right == "authorization" else key
    caller = isolate.authenticator.admit(headers, HERE)
    assert not isinstance(caller, Principal)
    assert await caller == await isolate.authenticate(key)


@pytest.mark.parametrize("others", ["authorization", "x-api-key"])
async def test_a_key_of_the_deployment_opens_while_the_other_cannot_be_looked_up(
    isolate: Isolate, store: Keys, others: str
) -> None:
    store.down = True
    headers = {"authorization": "Bearer user-key", "x-api-key": "user-key"}
    headers[others] = f"Bearer {SECRET}" if others == "authorization" else SECRET
    caller = isolate.authenticator.admit(headers, HERE)
    assert not isinstance(caller, Principal)
    assert (await caller).user == "default"


@pytest.mark.parametrize("first", ["Bearer aep_staging_" + "a" * 64, "Bearer wrong"])
async def test_a_key_that_cannot_be_looked_up_now_may_be_tried_again(
    isolate: Isolate, store: Keys, first: str
) -> None:
    store.down = True
    caller = isolate.authenticator.admit({"authorization": first, "x-api-key": SECRET}, HERE)
    assert not isinstance(caller, Principal)
    with pytest.raises(Unavailable):
        await caller


async def test_two_wrong_keys_are_refused(isolate: Isolate) -> None:
    caller = isolate.authenticator.admit({"authorization": "Bearer a", "x-api-key": "b"}, HERE)
    assert not isinstance(caller, Principal)
    with pytest.raises(AuthenticationFailed, match="not known"):
        await caller


@pytest.mark.parametrize("headers", [{}, {"authorization": "Basic x"}, {"x-api-key": " "}])
def test_what_is_no_key_is_refused_with_what_to_send(
    isolate: Isolate, headers: dict[str, str]
) -> None:
    with pytest.raises(AuthenticationFailed, match="Bearer"):
        isolate.authenticator.admit(headers, HERE)
