"""Streams that are none, and what comes of faults in a stream."""

import pytest

from proxy.core.errors import Fault
from tests.unit.providers import replay

TO = replay.target("openai")
CHUNK = (
    b'{"id":"c-1","object":"chat.completion.chunk","model":"m-1",'
    b'"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":%s}]}'
)


PIECE = CHUNK % b"null"


def refusal(*pieces: bytes) -> Fault:
    with pytest.raises(Fault) as raised:
        replay.decode(replay.adapter("openai").make_decoder(TO), pieces)
    return raised.value


# Bodies that are no event stream


def test_json_in_place_of_a_stream_becomes_one_chunk() -> None:
    body = replay.load("openai", "tools").body
    decoder = replay.adapter("openai").make_decoder(TO)
    (chunk,) = replay.decode(decoder, [b" \n", body[:50], body[50:]])
    assert decoder.finished
    assert chunk.raw is None
    answer = replay.adapter("openai").read_answer(TO, body)
    assert replay.describe(replay.collect([chunk])) == replay.describe(answer)


def test_an_error_in_place_of_a_stream() -> None:
    fault = refusal(replay.load("openai", "error-401").body)
    assert (fault.kind, fault.code) == ("unauthorized", "invalid_api_key")


def test_a_page_in_place_of_a_stream() -> None:
    fault = refusal(b"<html><head><title>Hold on</title></head></html>")
    assert fault.kind == "garbage"
    assert fault.message.endswith("The provider answered with an HTML page: Hold on")


@pytest.mark.parametrize("body", [b"", b": only a comment\n\n", b"Service Unavailable"])
def test_a_stream_without_an_event_says_what_came(body: bytes) -> None:
    fault = refusal(body)
    assert fault.kind == "garbage"
    shown = body.decode().strip() or "(nothing)"
    assert fault.message == f"The answer cannot be read. The stream holds no event: {shown}"


def test_a_body_that_is_no_stream_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.providers.stream.EVENT_LIMIT", 10)
    assert refusal(b'{"a":"', b"0123456789").kind == "garbage"


# The end of a stream


def test_the_last_event_may_lack_its_empty_line() -> None:
    decoder = replay.adapter("openai").make_decoder(TO)
    chunks = replay.decode(decoder, [b"data: " + CHUNK % b'"stop"'])
    assert (replay.collect(chunks).text, decoder.finished) == ("Hi", True)


def test_half_an_event_is_none() -> None:
    decoder = replay.adapter("openai").make_decoder(TO)
    chunks = replay.decode(decoder, [b"data: " + PIECE + b"\n\ndata: " + PIECE[:40]])
    assert (replay.collect(chunks).text, decoder.finished) == ("Hi", False)


# Faults and what came before them

ERROR = b'event: error\ndata: {"error":{"message":"Boom","code":500}}\n\n'


def test_a_fault_waits_till_the_content_before_it_is_out() -> None:
    decoder = replay.adapter("openai").make_decoder(TO)
    event = b"data: " + PIECE + b"\n\n"
    assert [chunk.text for chunk in decoder.feed(event)] == ["Hi"]
    assert [chunk.text for chunk in decoder.feed(event + ERROR)] == ["Hi"]
    with pytest.raises(Fault, match="Boom"):
        decoder.feed(b"")
    with pytest.raises(Fault, match="Boom"):
        decoder.end()


def test_a_fault_before_any_content_is_told_at_once() -> None:
    decoder = replay.adapter("openai").make_decoder(TO)
    with pytest.raises(Fault, match="Boom"):
        decoder.feed(b"data: " + PIECE + b"\n\n" + ERROR)
