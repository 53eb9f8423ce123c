"""What the body log keeps of requests and answers, who may read it, and for how long."""

import asyncio
import json
import re

import pytest
from msgspec import structs

from proxy.api.misconfigured import Misconfigured
from proxy.api.start import start
from proxy.core.errors import Fault
from proxy.host.maintenance import maintain
from proxy.privacy.body_log import PREFIX
from tests.unit.callers import send
from tests.unit.doubles import Caller, FakeReply
from tests.unit.routing.making import EVENTS, event, whole
from tests.unit.serving.bodies import (
    ADMIN,
    CARD,
    MAIL,
    VIEWER,
    by,
    issue,
    kept,
    logged,
    look,
    message,
    say,
)
from tests.unit.serving.making import OPENAI, House, by_host, stream_of
from tests.unit.serving.turns import PATHS, ask

each_way = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
each_dialect = pytest.mark.parametrize("dialect", PATHS)


@each_way
@each_dialect
async def test_both_are_kept_without_what_is_personal(dialect: str, stream: bool) -> None:
    house = logged()
    text = f"I am {MAIL}, {CARD}"
    answer = await say(house, PATHS[dialect], **ask(dialect, text), stream=stream)
    assert answer.status == 200, answer.body
    assert MAIL in answer.body.decode() or stream
    row = await house.fetch(
        "GET", f"/analytics/requests/{answer.headers['x-request-id']}", **by(ADMIN)
    )
    assert row.json["bodyKept"] is True
    body = (await look(house, answer)).json
    assert body.keys() == {"request", "answer", "redacted", "expiresAt"}
    assert "I am [EMAIL_1], [CARD_1]" in body["request"]["text"]
    assert "echo: I am [EMAIL_1], [CARD_1]" in body["answer"]["text"]
    for part in ("request", "answer"):
        assert body[part]["contentType"] == "application/json"
        assert body[part]["truncated"] is False
        json.loads(body[part]["text"])
    assert body["redacted"]["email"] >= 2 and body["redacted"]["card"] >= 2
    assert body["expiresAt"] == "2023-11-21T22:13:20Z"
    [data] = kept(house)
    for secret in (MAIL, "4111", ADMIN, "key-of-openai"):
        assert secret.encode() not in data


@each_way
async def test_a_hit_is_kept_as_the_whole_answer(stream: bool) -> None:
    house = logged()
    for cache in ("miss", "hit", "hit"):
        answer = await say(house, messages=message("Hello"), stream=stream)
        body = (await look(house, answer)).json
        assert json.loads(body["answer"]["text"])["choices"][0]["message"]["content"] == (
            "echo: Hello"
        ), cache
    assert len(kept(house)) == 3


async def test_a_hit_that_is_shown_as_the_one_before_is_kept_as_the_whole_answer() -> None:
    house = logged(lambda _: whole("Hi"))
    for stream in (False, True, True, True):
        answer = await say(house, messages=message("Hello"), stream=stream)
        body = (await look(house, answer)).json
        assert json.loads(body["answer"]["text"])["choices"][0]["message"]["content"] == "Hi"


@pytest.mark.parametrize(
    "headers",
    [{"cf_aig_collect_log_payload": "false"}, {"cf_aig_collect_log": "false"}],
)
async def test_a_caller_may_forbid_it(headers: dict[str, str]) -> None:
    house = logged()
    answer = await say(house, messages=message("Hello"), **headers)
    assert kept(house) == []
    assert (await look(house, answer)).status == 404
    id_ = answer.headers["x-request-id"]
    row = await house.fetch("GET", f"/analytics/requests/{id_}", **by(ADMIN))
    if "cf_aig_collect_log_payload" in headers:
        assert row.json["bodyKept"] is False
    else:
        assert row.status == 404


async def test_off_keeps_nothing() -> None:
    house = logged(BODY_LOG="off")
    answer = await say(house, messages=message("Hello"))
    assert kept(house) == [] and house.app.services.notes is None
    assert (await look(house, answer)).status == 404


async def test_what_was_kept_is_read_and_pruned_after_it_is_off() -> None:
    house = logged()
    answer = await say(house, messages=message("Hello"))
    house.env["BODY_LOG"] = "off"
    house.leave()
    assert (await look(house, answer)).status == 200
    house.clock.time += 604_800
    assert (await look(house, answer)).status == 404
    assert len(kept(house)) == 1
    await maintain(house.app.services)
    assert kept(house) == []


async def test_only_what_is_over_is_pruned() -> None:
    house = logged(BODY_LOG_TTL="100")
    first = await say(house, messages=message("One"))
    house.clock.time += 60
    second = await say(house, messages=message("Two"))
    house.clock.time += 50
    assert (await look(house, first)).status == 404
    await maintain(house.app.services)
    assert len(kept(house)) == 1
    assert (await look(house, second)).status == 200


async def test_users_read_their_own_admins_all_and_viewers_none() -> None:
    house = logged()
    ann, ben = await issue(house, "ann"), await issue(house, "ben")
    same = {"x_request_id": "same-id"}
    of_ann = await say(house, OPENAI, ann, messages=message("I am Ann"), **same)
    house.clock.time += 1
    await say(house, OPENAI, ben, messages=message("I am Ben"), **same)
    mine = await look(house, of_ann, ann)
    assert "I am Ann" in mine.json["request"]["text"]
    assert "I am Ben" in (await look(house, of_ann, ben)).json["request"]["text"]
    assert "I am Ben" in (await look(house, of_ann, ADMIN)).json["request"]["text"]
    viewer = await look(house, of_ann, VIEWER)
    assert viewer.status == 403 and b"I am" not in viewer.body
    only_ann = await say(house, OPENAI, ann, messages=message("Mine"))
    assert (await look(house, only_ann, ben)).status == 404
    nobody = await house.fetch("GET", "/analytics/requests/same-id/body")
    assert nobody.status == 401
    assert mine.headers["cache-control"] == "no-store"


async def test_an_admin_deletes_what_is_kept_of_a_user() -> None:
    house = logged()
    ann, ben = await issue(house, "ann"), await issue(house, "ben")
    of_ann = await say(house, OPENAI, ann, messages=message("I am Ann"))
    of_ben = await say(house, OPENAI, ben, messages=message("I am Ben"))
    assert (await house.fetch("DELETE", "/admin/bodies?user=ann", **by(ann))).status == 403
    assert (await house.fetch("DELETE", "/admin/bodies?user=ann", **by(VIEWER))).status == 403
    gone = await house.fetch("DELETE", "/admin/bodies?user=ann", **by(ADMIN))
    assert gone.json == {"deleted": 1, "next": None}
    assert (await look(house, of_ann)).status == 404
    assert (await look(house, of_ben)).status == 200
    for query in ("", "?user=", "?user=a&x=1", "?user=a&cursor=%2F"):
        assert (await house.fetch("DELETE", f"/admin/bodies{query}", **by(ADMIN))).status == 400


async def test_many_bodies_are_deleted_a_part_at_a_time() -> None:
    house = logged()
    services = house.app.services
    assert services.bodies
    for number in range(10_500):
        user = "ann" if number % 2 else "ben"
        house.r2.held[PREFIX + services.bodies.name(user)] = (b"{}", 1)
        house.clock.time += number % 100 == 0
    path, cursor, parts = "/admin/bodies?user=ann", "", []
    while cursor is not None:
        part = await house.fetch("DELETE", f"{path}&cursor={cursor}", **by(ADMIN))
        cursor = part.json["next"]
        parts.append(part.json["deleted"])
    assert len(parts) == 2 and sum(parts) == 5_250 and all(parts)
    assert len(kept(house)) == 5_250
    house.clock.time += 604_801
    await maintain(services)
    assert kept(house) == []


async def test_a_body_that_is_long_is_cut_after_it_is_redacted() -> None:
    house = logged(BODY_LOG_BYTES="1024")
    for length in range(935, 965, 5):
        house.r2.held.clear()
        answer = await say(house, messages=message("x" * length + f" {MAIL} " + "y" * 9000))
        body = (await look(house, answer)).json
        for part in ("request", "answer"):
            assert body[part]["truncated"] is True
            assert len(body[part]["text"].encode()) <= 1024
            assert "joe" not in body[part]["text"] and "x.ex" not in body[part]["text"]


@pytest.mark.parametrize("value", [MAIL, CARD])
async def test_nor_is_the_beginning_kept_of_what_the_cut_goes_through(value: str) -> None:
    house = logged(BODY_LOG_BYTES="1024")
    for length in range(4_935, 4_960, 3):  # of an image before it, which is left out
        url = {"url": "data:image/png;base64," + "A" * length}
        text = {"type": "text", "text": f"I am {value} " + "y" * 9000}
        asked = message([{"type": "image_url", "image_url": url}, text])
        assert value[:4] not in (await look(house, await say(house, messages=asked))).body.decode()


async def test_images_are_not_kept() -> None:
    house = logged()
    url = "data:image/png;base64," + "iVBORw0KGgoA" * 300
    content = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": url}},
    ]
    body = (await look(house, await say(house, messages=message(content)))).json
    assert json.loads(body["request"]["text"])["messages"][0]["content"][1]["image_url"] == {
        "url": f"[{len(url)} CHARACTERS]"
    }


@pytest.mark.parametrize(
    "body",
    [
        b'{"model": "a", "messages": [{"content": "joe@x.example',
        b"I am joe@x.example",
        b'{"a": "\xff joe@x.example"}',
        b"[]" * 2000 + b"joe@x.example",
    ],
)
async def test_what_is_no_request_is_kept_as_redacted(body: bytes) -> None:
    house = logged()
    answer = await house.fetch("POST", OPENAI, body, **by(ADMIN))
    await house.settle()
    assert answer.status == 400
    found = (await look(house, answer)).json
    assert "[EMAIL_1]" in found["request"]["text"] and MAIL not in json.dumps(found)
    assert json.loads(found["answer"]["text"])["error"]["type"] == "invalid_request_error"


async def test_keys_are_taken_out_in_every_spelling() -> None:
    house = logged(
        lambda _: whole("own/key+of?openai"),
        OPENAI_API_KEY="own/key+of?openai",
        PROXY_API_KEY="callers-key-0123456789",
    )
    text = 'Bearer callers-key-0123456789, "own/key+of?openai", own%2Fkey%2Bof%3Fopenai'
    answer = await say(house, OPENAI, "callers-key-0123456789", messages=message(text))
    body = await look(house, answer)
    assert b"callers-key" not in body.body
    assert not re.search(rb"own.{1,3}key", body.body)


async def test_ones_own_patterns_are_redacted_too() -> None:
    house = logged(REDACT_PATTERNS="STAFF=EMP-[0-9]{3}")
    body = (await look(house, await say(house, messages=message("I am EMP-123")))).json
    assert "I am [STAFF_1]" in body["request"]["text"] and body["redacted"] == {"staff": 2}


async def test_a_stream_that_breaks_or_loses_its_caller_is_kept_as_far_as_it_came() -> None:
    pieces = (event({"content": f"I am {MAIL} and "}), Fault("network", "gone"))
    house = logged(lambda _: stream_of(*pieces))
    answer = await say(house, messages=message("Hello"), stream=True)
    body = json.loads((await look(house, answer)).json["answer"]["text"])
    assert body["choices"][0]["message"]["content"] == "I am [EMAIL_1] and "
    assert body["choices"][0]["finish_reason"] == "network"
    house = logged(lambda _: FakeReply(event({"content": "Hi"}), 9.0, headers=EVENTS))
    request = house.request(
        "POST",
        OPENAI,
        {"model": "openai/gpt-4o", "stream": True} | {"messages": message("Hello")},
        **by(ADMIN),
    )
    response = await send(house.app, request)
    assert response.stream
    await response.stream(Caller(gone_after=0))
    await house.settle()
    [data] = kept(house)
    text = json.loads(json.loads(data)["answer"]["text"])
    assert text["choices"][0]["finish_reason"] == "client_gone"


async def test_each_request_of_a_batch_is_kept_by_itself() -> None:
    house = logged()
    requests = [{"model": "openai/auto", "prompt": f"{n} {MAIL}"} for n in range(2)]
    answer = await say(house, "/v1/batch", requests=requests)
    id_ = answer.headers["x-request-id"]
    for number in range(2):
        found = await house.fetch("GET", f"/analytics/requests/{id_}-{number}/body", **by(ADMIN))
        assert f"{number} [EMAIL_1]" in found.json["request"]["text"]
        assert "echo" in found.json["answer"]["text"]
    assert len(kept(house)) == 2


async def test_a_store_that_fails_costs_no_request() -> None:
    house = logged()
    house.r2.fault = fault = RuntimeError(f"can't keep {MAIL}")
    answer = await say(house, messages=message("Hello"))
    assert answer.status == 200
    assert "body not kept" in house.events("error") and MAIL not in repr(house.log.lines)
    house.r2.fault = None
    assert (await look(house, answer)).status == 404
    house.r2.fault = fault
    refused = await look(house, answer)
    assert refused.status == 503 and MAIL not in refused.body.decode()
    assert house.app.services.memory.held == 0


async def test_an_answer_does_not_wait_for_the_store() -> None:
    house = logged()
    house.r2.silent = True
    body = {"model": "openai/auto", "messages": message("Hello")}
    answer = await house.fetch("POST", OPENAI, body, **by(ADMIN))
    assert answer.status == 200
    assert house.app.services.memory.held > 0  # until it is written
    await asyncio.sleep(0.01)
    for task in house.deferred:
        task.cancel()
    await asyncio.gather(*house.deferred, return_exceptions=True)
    assert house.app.services.memory.held == 0


async def test_where_there_is_no_room_nothing_is_kept_and_the_answer_comes() -> None:
    house = logged(BODY_MEMORY_BYTES="300000", BODY_LOG_BYTES="262144")
    answer = await say(house, messages=message("Hello" * 9000))
    assert answer.status == 200
    assert kept(house) == [] and "body not kept" in house.events("warning")
    assert house.app.services.memory.held == 0


async def test_other_paths_are_not_kept() -> None:
    house = logged()
    await issue(house, "ann")
    body = {"model": "claude", "messages": message("Hello")}
    assert (await say(house, "/v1/messages/count_tokens", **body)).status == 200
    assert kept(house) == []
    await say(house, "/v1/embeddings", model="openai/text-embedding-3-small", input="Hello")
    assert len(kept(house)) == 1


async def test_it_needs_figures_and_a_bucket() -> None:
    house = House(by_host(openai=whole("Hi")))
    for env, ports in (
        ({"ANALYTICS": "off", "BODY_LOG": "on"}, house.ports),
        ({"BODY_LOG": "on", "ANALYTICS": "on"}, structs.replace(house.ports, r2=None)),
    ):
        app = start(house.env | env, ports)
        assert isinstance(app, Misconfigured)
