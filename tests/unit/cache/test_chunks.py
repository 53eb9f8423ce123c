"""A kept answer as a stream: a caller can make the same answer of it."""

from hypothesis import given, settings
from msgspec import structs

from proxy.cache.chunks import PIECES, chunks_of
from proxy.core.chat import Answer, Chunk, Native, Usage
from proxy.core.collect import Collector
from proxy.core.messages import FunctionCall, ToolCall
from tests.unit.cache.answers import ANSWERS, FAMILY, TEXT


def collected(answer: Answer) -> Answer:
    collector = Collector()
    for chunk in chunks_of(answer):
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


class TestChunks:
    @settings(deadline=None)
    @given(ANSWERS)
    def test_a_collector_makes_the_same_answer_of_it(self, answer: Answer) -> None:
        assert collected(answer) == as_streamed(answer)

    @settings(deadline=None)
    @given(TEXT)
    def test_a_text_comes_in_a_few_pieces_that_are_valid_utf8(self, text: str) -> None:
        pieces = [chunk.text for chunk in chunks_of(Answer(text=text)) if chunk.text]
        assert "".join(pieces) == text
        assert len(pieces) <= PIECES
        assert all(piece.encode().decode() == piece for piece in pieces)
        assert all(len(piece) >= 40 for piece in pieces[:-1])

    def test_prose_is_cut_between_words(self) -> None:
        text = "Words that are longer, and such as are not. " * 50
        pieces = [chunk.text for chunk in chunks_of(Answer(text=text)) if chunk.text]
        assert len(pieces) == PIECES
        assert all(piece.endswith(" ") for piece in pieces[:-1])
        lengths = [len(piece) for piece in pieces]
        assert max(lengths) < 1.2 * len(text) / PIECES

    def test_what_a_reader_sees_as_one_sign_is_not_cut(self) -> None:
        for sign in (FAMILY, "e\u0301", "\U0001f44d\U0001f3fd", "\u2764\ufe0f", "漢"):
            pieces = [chunk.text for chunk in chunks_of(Answer(text=sign * 300)) if chunk.text]
            assert len(pieces) > 1
            assert all(piece == sign * piece.count(sign) for piece in pieces)
        flags = [chunk.text for chunk in chunks_of(Answer(text="🇩🇪" * 300)) if chunk.text]
        assert flags == ["🇩🇪" * 300]

    def test_a_short_text_is_one_piece(self) -> None:
        assert [chunk.text for chunk in chunks_of(Answer(text="Paris."))] == ["Paris.", ""]

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
        chunks = list(chunks_of(answer))
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
        chunks = list(chunks_of(Answer(text=text, logprobs=logprobs)))
        assert [(c.text, c.logprobs) for c in chunks] == [(text, logprobs), ("", None)]
        refused = list(chunks_of(Answer(refusal="no", logprobs=logprobs)))
        assert [c.logprobs for c in refused] == [None, logprobs]

    def test_a_message_as_its_provider_gave_it_comes_first(self) -> None:
        native = Native("messages", b"{}")
        first, *rest = chunks_of(Answer(text="x", native=native))
        assert (first.native, first.text) == (native, "")
        assert all(chunk.native is None for chunk in rest)
