"""Entries as bytes and as streams: all comes back, and what is foreign is refused."""

import contextlib
import zlib
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from proxy.cache import entry as module
from proxy.cache.entry import (
    PIECES,
    CacheEntry,
    ForeignEntry,
    Unstorable,
    decode,
    encode,
    replay,
)
from proxy.core.chat import Answer, Chunk, Cost, Usage
from proxy.core.collect import Collector
from proxy.core.messages import FunctionCall, ToolCall

FAMILY = "\U0001f469\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"  # one sign, seven characters
TEXT = st.text(max_size=400) | st.sampled_from(
    [
        "The quick brown fox. " * 200,
        "word\n\n" * 300,
        "漢字仮名交じり文" * 100,
        f"{FAMILY}🇩🇪e\u0301" * 80,
    ]
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=10,
)
OBJECTS = st.dictionaries(st.text(max_size=8), JSON, max_size=4)
TOKENS = st.integers(0, 2**40)
MAYBE_TOKENS = st.none() | TOKENS
NAMES = st.text(min_size=1, max_size=40)
CALLS = st.builds(
    ToolCall,
    id=st.text(max_size=40),
    function=st.builds(FunctionCall, name=st.text(max_size=20), arguments=TEXT),
    extra_content=st.none() | OBJECTS,
)
ANSWERS = st.builds(
    Answer,
    text=st.none() | TEXT,
    reasoning=st.none() | TEXT,
    refusal=st.none() | TEXT,
    tool_calls=st.lists(CALLS, max_size=4).map(tuple),
    finish_reason=st.sampled_from(["stop", "length", "tool_calls", "content_filter"]),
    usage=st.none()
    | st.builds(
        Usage,
        input=TOKENS,
        output=TOKENS,
        cached=MAYBE_TOKENS,
        cache_write=MAYBE_TOKENS,
        reasoning=MAYBE_TOKENS,
        cost=MAYBE_TOKENS,
    ),
    model=st.none() | NAMES,
    id=st.none() | NAMES,
    created=st.none() | st.integers(0, 2**40),
    logprobs=st.none() | OBJECTS.filter(bool),
    extra=OBJECTS,
)
TIMES = st.floats(0, 1e10)
ENTRIES = st.builds(
    CacheEntry,
    answer=ANSWERS,
    provider=NAMES,
    model=NAMES,
    cost=st.builds(
        Cost, st.none() | TOKENS, st.sampled_from([None, "provider", "computed", "estimated"])
    ),
    born=TIMES,
    stored=TIMES,
    ttl=st.integers(0, 10**8),
    grace=st.integers(0, 10**8),
    user=st.none() | st.text(),
)


def an_entry(text: str = "Paris.", **fields: Any) -> CacheEntry:
    times = {"born": 999.5, "stored": 1000.0, "ttl": 60, "grace": 30}
    return CacheEntry(
        **{"answer": Answer(text=text), "provider": "gemini", "model": "m", **times, **fields}
    )


class TestTimes:
    def test_an_entry_is_fresh_for_its_ttl_and_gone_after_its_grace(self) -> None:
        entry = an_entry()
        assert (entry.fresh_until, entry.gone_after) == (1060, 1090)

    @pytest.mark.parametrize(
        ("now", "age", "remaining"),
        [
            (1000.0, 0, 60),
            (1000.5, 0, 59),
            (1059.5, 59, 0),
            (1060.5, 60, -1),
            (1090.0, 90, -30),
            (900.0, 0, 60),  # the clock has stepped back
        ],
    )
    def test_age_and_what_remains_are_whole_seconds(
        self, now: float, age: int, remaining: int
    ) -> None:
        assert (an_entry().age(now), an_entry().remaining(now)) == (age, remaining)


def sealed(body: bytes, flag: bytes = b"\0") -> bytes:
    """`body` as an entry whose checksum is right."""
    checksum = zlib.crc32(flag + body).to_bytes(4, "big")
    return b"APC\x01" + flag + checksum + body


def deflated(body: bytes) -> bytes:
    return zlib.compress(body, wbits=-15)


class TestBytes:
    @settings(deadline=None)
    @given(ENTRIES)
    def test_an_entry_comes_back_as_it_was(self, entry: CacheEntry) -> None:
        assert decode(encode(entry)) == entry

    def test_the_raw_answer_is_left_out(self) -> None:
        answer = Answer(text="a", raw=b"{}", id="chatcmpl-1", created=5)
        back = decode(encode(an_entry(answer=answer)))
        assert back.answer == structs.replace(answer, raw=None)

    def test_what_was_written_long_ago_is_still_read(self) -> None:
        """If this fails raise FORM: entries of the old form are in people's stores."""
        written = bytes.fromhex(
            "4150430100aa1c7c9f89a6616e737765728ca474657874a24869a9726561736f6e696e67c0a77265"
            "667573616cc0aa746f6f6c5f63616c6c739182a26964a163a866756e6374696f6e82a46e616d65a1"
            "66a9617267756d656e7473a27b7dad66696e6973685f726561736f6ea473746f70a5757361676586"
            "a5696e70757401a66f757470757402a6636163686564c0ab63616368655f7772697465c0a9726561"
            "736f6e696e67c0a4636f7374c0a56d6f64656cc0a26964c0a763726561746564c0a86c6f6770726f"
            "6273c0a5657874726180a3726177c0a870726f7669646572a667656d696e69a56d6f64656ca16da4"
            "636f737482a86e616e6f5f75736405a66f726967696ea8636f6d7075746564a4626f726ecb408f3c"
            "0000000000a673746f726564cb408f400000000000a374746c3ca567726163651ea475736572a175"
        )
        answer = Answer(
            text="Hi",
            usage=Usage(input=1, output=2),
            tool_calls=(ToolCall(id="c", function=FunctionCall("f", "{}")),),
        )
        cost = Cost(5, "computed")
        entry = an_entry(answer=answer, cost=cost, user="u")
        assert decode(written) == entry

    def test_long_entries_are_deflated(self) -> None:
        assert len(encode(an_entry("word " * 1000))) < 500
        assert b"word word" in encode(an_entry("word " * 10))

    @pytest.mark.parametrize("text", ["Paris.", "A long text, deflated. " * 100])
    def test_no_byte_can_be_changed_or_cut_off(self, text: str) -> None:
        data = encode(an_entry(text))
        for place in range(len(data)):
            for flip in (1, 0x80, 0xFF):
                changed = data[:place] + bytes([data[place] ^ flip]) + data[place + 1 :]
                with pytest.raises(ForeignEntry):
                    decode(changed)
            with pytest.raises(ForeignEntry):
                decode(data[:place])
        with pytest.raises(ForeignEntry):
            decode(data + b"\0")

    @settings(deadline=None)
    @given(st.binary(max_size=200), st.sampled_from([b"", b"APC\x01", b"APC\x01\0", b"APC\x01\1"]))
    def test_foreign_bytes_are_refused(self, data: bytes, head: bytes) -> None:
        with pytest.raises(ForeignEntry):
            decode(head + data)

    @pytest.mark.parametrize("form", [0, 2, 255])
    def test_other_forms_are_refused(self, form: int) -> None:
        data = encode(an_entry())
        with pytest.raises(ForeignEntry, match="form 1"):
            decode(data[:3] + bytes([form]) + data[4:])

    @settings(deadline=None)
    @given(st.data())
    def test_whatever_stands_under_a_right_checksum_only_foreign_entry_is_raised(
        self, data: st.DataObject
    ) -> None:
        body = bytearray(msgspec.msgpack.encode(an_entry()))
        for _ in range(data.draw(st.integers(1, 3))):
            body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
        for flag, packed in ((b"\0", bytes(body)), (b"\1", deflated(body)), (b"\1", bytes(body))):
            with contextlib.suppress(ForeignEntry):
                decode(sealed(packed, flag))

    @pytest.mark.parametrize(
        ("value", "why"),
        [
            (b"\x91" * 100_000 + b"\1", "recursion"),
            (b"\x81\x80\x01", "hashable"),
            (b"\xdd\x7f\xff\xff\xff", "truncated"),
            (b"\xa1\xff", "utf-8"),
        ],
    )
    def test_msgpack_that_no_decoder_should_meet_is_refused(self, value: bytes, why: str) -> None:
        body = msgspec.msgpack.encode(an_entry(answer=Answer(logprobs="HERE")))
        poisoned = body.replace(msgspec.msgpack.encode("HERE"), value)
        with pytest.raises(ForeignEntry, match=f"(?i){why}"):
            decode(sealed(poisoned))

    def test_what_inflates_without_end_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        body = msgspec.msgpack.encode(an_entry("x" * 100_000))
        assert decode(sealed(deflated(body), b"\1")) == an_entry("x" * 100_000)
        for more in (b"\0", deflated(body)):
            with pytest.raises(ForeignEntry, match="inflates"):
                decode(sealed(deflated(body) + more, b"\1"))
        with pytest.raises(ForeignEntry, match="inflates"):
            decode(sealed(deflated(body)[:-5], b"\1"))
        monkeypatch.setattr(module, "LARGEST", len(body))
        assert decode(sealed(deflated(body), b"\1")) == an_entry("x" * 100_000)
        monkeypatch.setattr(module, "LARGEST", len(body) - 1)
        with pytest.raises(ForeignEntry, match="inflates"):
            decode(sealed(deflated(body), b"\1"))

    def test_what_decode_would_refuse_is_not_encoded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for extra in ({"n": 2**64}, {"s": "\ud800"}):
            with pytest.raises(Unstorable):
                encode(an_entry(answer=Answer(extra=extra)))
        size = len(msgspec.msgpack.encode(an_entry("x" * 5000)))
        monkeypatch.setattr(module, "LARGEST", size)
        assert decode(encode(an_entry("x" * 5000)))
        monkeypatch.setattr(module, "LARGEST", size - 1)
        with pytest.raises(Unstorable, match="too large"):
            encode(an_entry("x" * 5000))
        with pytest.raises(ForeignEntry):
            decode(sealed(msgspec.msgpack.encode(an_entry("x" * 5000))))


def collected(answer: Answer) -> Answer:
    collector = Collector()
    for chunk in replay(answer):
        collector.add(chunk)
    return collector.answer()


def as_streamed(answer: Answer) -> Answer:
    """The answer as a stream tells it, which knows no difference between "" and nothing."""
    return structs.replace(
        answer,
        text=answer.text or (None if answer.tool_calls else ""),
        reasoning=answer.reasoning or None,
        refusal=answer.refusal or None,
        tool_calls=tuple(
            structs.replace(
                call,
                function=FunctionCall(call.function.name, call.function.arguments or "{}"),
                extra_content=call.extra_content or None,
            )
            for call in answer.tool_calls
        ),
        created=None,
    )


class TestReplay:
    @settings(deadline=None)
    @given(ANSWERS)
    def test_a_collector_makes_the_same_answer_of_it(self, answer: Answer) -> None:
        assert collected(answer) == as_streamed(answer)

    @settings(deadline=None)
    @given(TEXT)
    def test_a_text_comes_in_a_few_pieces_that_are_valid_utf8(self, text: str) -> None:
        pieces = [chunk.text for chunk in replay(Answer(text=text)) if chunk.text]
        assert "".join(pieces) == text
        assert len(pieces) <= PIECES
        assert all(piece.encode().decode() == piece for piece in pieces)
        assert all(len(piece) >= 40 for piece in pieces[:-1])

    def test_prose_is_cut_between_words(self) -> None:
        text = "Words that are longer, and such as are not. " * 50
        pieces = [chunk.text for chunk in replay(Answer(text=text)) if chunk.text]
        assert len(pieces) == PIECES
        assert all(piece.endswith(" ") for piece in pieces[:-1])
        lengths = [len(piece) for piece in pieces]
        assert max(lengths) < 1.2 * len(text) / PIECES

    def test_what_a_reader_sees_as_one_sign_is_not_cut(self) -> None:
        for sign in (FAMILY, "e\u0301", "\U0001f44d\U0001f3fd", "\u2764\ufe0f", "漢"):
            pieces = [chunk.text for chunk in replay(Answer(text=sign * 300)) if chunk.text]
            assert len(pieces) > 1
            assert all(piece == sign * piece.count(sign) for piece in pieces)
        flags = [chunk.text for chunk in replay(Answer(text="🇩🇪" * 300)) if chunk.text]
        assert flags == ["🇩🇪" * 300]

    def test_a_short_text_is_one_piece(self) -> None:
        assert [chunk.text for chunk in replay(Answer(text="Paris."))] == ["Paris.", ""]

    def test_the_order_is_that_of_a_stream(self) -> None:
        calls = tuple(ToolCall(id=id_, function=FunctionCall("f", "{}")) for id_ in "ab")
        answer = Answer(
            reasoning="why",
            text="what",
            refusal="no",
            tool_calls=calls,
            finish_reason="tool_calls",
            usage=Usage(input=1, output=2),
            extra={"annotations": [1]},
            id="i",
            model="m",
        )
        chunks = list(replay(answer))
        assert [bool(c.reasoning) for c in chunks] == [True, False, False, False, False, False]
        assert [c.text for c in chunks] == ["", "what", "", "", "", ""]
        assert [c.refusal for c in chunks] == ["", "", "no", "", "", ""]
        assert [[d.index for d in c.tool_calls] for c in chunks] == [[], [], [], [0], [1], []]
        assert all((c.id, c.model) == ("i", "m") for c in chunks)
        assert chunks[-1] == Chunk(
            id="i",
            model="m",
            finish_reason="tool_calls",
            usage=answer.usage,
            extra={"annotations": [1]},
        )
        assert [c.finish_reason for c in chunks[:-1]] == [None] * 5

    def test_logprobs_stand_beside_the_text_that_they_are_about(self) -> None:
        logprobs = {"content": [{"token": "a", "logprob": -1.5}]}
        text = "a " * 500
        chunks = list(replay(Answer(text=text, logprobs=logprobs)))
        assert [(c.text, c.logprobs) for c in chunks] == [(text, logprobs), ("", None)]
        refused = list(replay(Answer(refusal="no", logprobs=logprobs)))
        assert [c.logprobs for c in refused] == [None, logprobs]
