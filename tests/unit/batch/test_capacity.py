"""How many requests of a batch an invocation holds."""

from typing import Any

import pytest
from msgspec import structs

from proxy.batch.capacity import POINTS, Capacity
from proxy.core.chat import Call, ChatRequest, Routing
from proxy.core.messages import ImageURL, Message, Part
from proxy.core.settings import read_settings

PROVIDERS = ("gemini", "groq", "openai", "local")


def room(**env: str) -> Capacity:
    return Capacity.of(read_settings(env, PROVIDERS), len(PROVIDERS))


def call(images: int = 0, **routing: Any) -> Call:
    image = Part("image_url", image_url=ImageURL("https://x.test/a.png"))
    message = Message("user", (Part("text", "see"), *[image] * images) if images else "hi")
    return Call(chat=ChatRequest(messages=(message,)), routing=Routing(**routing))


def test_the_paid_plan_is_bound_by_the_data_points() -> None:
    assert room().count_requests([call()] * 100, {}) == POINTS == 24
    assert room(RETRY_ATTEMPTS="5").count_requests([call(models=("a", "b"))], {}) == POINTS


def test_the_free_plan_holds_a_few() -> None:
    free = room(SUBREQUEST_LIMIT="50")
    # 11 and twice 5 for one provider tried twice: two of the 45 that the batch leaves.
    assert free.count_requests([call(fallback=False)], {}) == 2
    assert free.count_requests([call()], {}) == 1


@pytest.mark.parametrize(
    ("more", "headers"),
    [
        (call(fallback=("groq", "openai")), {}),
        (call(fallback=False, models=("a",)), {}),
        (call(fallback=False, images=2), {}),
        (call(fallback=False), {"cf-aig-max-attempts": "5"}),
    ],
)
def test_what_a_request_may_take_counts(more: Call, headers: dict[str, str]) -> None:
    limited = room(SUBREQUEST_LIMIT="215")
    assert limited.count_requests([call(fallback=False)], {}) == 10
    assert limited.count_requests([call(fallback=False), more], headers) < 10


def test_each_target_of_an_alias_may_be_tried_and_has_a_bucket_and_an_account() -> None:
    limited = room(SUBREQUEST_LIMIT="215")
    held = [limited.count_requests([call(fallback=False)], {}, targets) for targets in (0, 1, 10)]
    # Beside the 21 of any request twice 8 for each target, and its account is settled.
    assert held == [10, 210 // 38, 1]


def test_a_flight_is_kept_alive_by_calls() -> None:
    assert room(CACHE_COALESCE="on").count_requests([call()], {}) < POINTS


def test_nothing_to_call_takes_nothing() -> None:
    assert room(SUBREQUEST_LIMIT="50").count_requests([], {}) == POINTS


@pytest.mark.parametrize(
    ("limit", "count", "held", "size"),
    [
        (10_000, 100, 24, 24),
        (50, 45, 1, 1),
        (50, 46, 1, 45),  # 46 calls would be too many
        (50, 100, 2, 90),
        (50, 90, 2, 2),
    ],
)
def test_the_calls_themselves_are_subrequests(limit: int, count: int, held: int, size: int) -> None:
    limited = structs.replace(room(), limit=limit)
    assert limited.chunk_size(count, held) == size
