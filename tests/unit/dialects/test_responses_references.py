"""References of OpenAI's Responses to what was kept of earlier ones."""

import json
from typing import Any

import pytest
from msgspec import Raw

from proxy.core.errors import InvalidRequest, NotFound
from proxy.core.messages import Message
from proxy.dialects import responses
from proxy.dialects.responses_references import (
    References,
    expand,
    read_items,
    read_reference,
)
from tests.unit.dialects.making_responses import USER, raw

SAID = {"type": "message", "role": "assistant", "content": "Hello."}
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": []}


def raws(*items: dict[str, Any]) -> list[Raw]:
    return [Raw(json.dumps(item).encode()) for item in items]


def expanded(body: bytes, *earlier: dict[str, Any], **known: dict[str, Any]) -> Any:
    items = {id_: Raw(json.dumps(item).encode()) for id_, item in known.items()}
    return json.loads(expand(body, raws(*earlier), items))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, References()),
        ({"store": None}, References()),
        ({"store": False}, References(store=False)),
        ({"previous_response_id": "resp_1"}, References("resp_1")),
        ({"previous_response_id": None, "input": [USER]}, References()),
        ({"input": [{"id": "msg_1", "role": "user", "content": "hi"}]}, References()),
        (
            {"input": [{"type": "item_reference", "id": "a"}, USER, {"id": "b"}, THOUGHT]},
            References(items=("a", "b")),
        ),
    ],
)
def test_what_a_request_refers_to(body: dict[str, Any], expected: References) -> None:
    found = read_reference(raw(**body))
    assert found == expected
    assert bool(found) == bool(expected.previous or expected.items)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The body is empty"),
        (b"[" * 5000, "The body is refused"),
        (b'{"input": [7]}', r"input\[0\]: "),
        (b'{"input": "x", "previous_response_id": 7}', "previous_response_id: "),
    ],
)
def test_a_body_that_cannot_be_read(body: bytes, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        read_reference(body)


def test_the_earlier_items_stand_first() -> None:
    body = raw(input=[{"role": "user", "content": "y"}], previous_response_id="r", store=True)
    found = expanded(body, USER, SAID)
    assert found == {
        "model": "m",
        "input": [USER, SAID, {"role": "user", "content": "y"}],
        "store": True,
    }


def test_a_text_becomes_a_message() -> None:
    found = expanded(raw(input='y "z"', previous_response_id="r"), SAID)
    assert found["input"] == [SAID, {"type": "message", "role": "user", "content": 'y "z"'}]


def test_items_are_repeated_where_they_are_referred_to() -> None:
    body = raw(input=[USER, {"type": "item_reference", "id": "rs_1"}, {"id": "msg_1"}, SAID])
    found = expanded(body, rs_1=THOUGHT, msg_1=SAID)
    assert found["input"] == [USER, THOUGHT, SAID, SAID]


def test_an_item_that_is_not_kept() -> None:
    with pytest.raises(NotFound, match="Item with id 'rs_1' not found"):
        expanded(raw(input=[{"type": "item_reference", "id": "rs_1"}]))


def test_only_earlier_items() -> None:
    assert expanded(b'{"previous_response_id": "r"}', USER) == {"input": [USER]}
    assert expanded(b'{"input": null}', USER) == {"input": [USER]}


def test_large_items_keep_their_bytes() -> None:
    large = {"role": "user", "content": "x" * 200_000}
    data = expand(raw(input=[large], previous_response_id="r"), raws(large), {})
    assert data.count(json.dumps(large).encode()) == 2
    assert json.loads(data)["input"] == [large, large]


def test_a_conversation_goes_on_with_the_items_of_a_request_and_its_answer() -> None:
    earlier = [*read_items(raw()), *raws(SAID)]
    body = raw(input="and?", previous_response_id="resp_1")
    call = responses.parse_chat(expand(body, earlier, {}))
    assert call.chat.messages == (
        Message("user", "hi"),
        Message("assistant", "Hello."),
        Message("user", "and?"),
    )


def test_the_items_of_a_request() -> None:
    items = read_items(raw(input=[USER, SAID]))
    assert [json.loads(bytes(item)) for item in items] == [USER, SAID]


def test_more_items_than_a_request_may_have_are_looked_up_by_nobody() -> None:
    items = [{"type": "item_reference", "id": f"i{n}"} for n in range(8193)]
    with pytest.raises(InvalidRequest) as error:
        read_reference(json.dumps({"model": "m", "input": items}).encode())
    assert error.value.param == "input"
