"""A kept answer as the chunks of a stream."""

import math
import re
from collections.abc import Iterator
from functools import partial

from msgspec import structs

from proxy.core.chat import Answer, Chunk, Form

PIECES = 8
"""The chunks that a text is streamed in, at the most: enough for a caller to see it come, and
a hit on a long answer still takes a few writes, each of which crosses into JavaScript."""
_SHORTEST = 40
"""Characters of a piece, the last one aside."""
_WORD_END = re.compile(r"(?<=\s)(?=\S)")
# Between two characters of which neither joins the other: no marks, joiners or flags.
_BETWEEN = re.compile(
    "(?<![\u200d\U0001f1e6-\U0001f1ff])(?![\u0300-\u036f\u200d\ufe00-\ufe0f\U0001f3fb-\U0001f3ff])"
)


def chunks_of(answer: Answer) -> Iterator[Chunk]:
    """The chunks by which the answer is streamed again; a Collector makes the same of them.

    Texts come in up to PIECES pieces, each call of a tool whole and in a chunk of its own, and
    with logprobs the text is one piece, so that they stand beside what they are about. A message
    as its provider gave it comes first: who can show that needs none of the rest.
    """
    chunk = partial(Chunk, id=answer.id, model=answer.model)
    text, logprobs, form = answer.text or "", answer.logprobs, answer.form
    if form or answer.native:
        yield chunk(form=form and _head(form), native=answer.native)
    for piece in _pieces(answer.reasoning or ""):
        yield chunk(reasoning=piece)
    for piece in _pieces(text) if logprobs is None else filter(None, [text]):
        yield chunk(text=piece, logprobs=logprobs)
    if answer.refusal:
        yield chunk(refusal=answer.refusal)
    for index, call in enumerate(answer.tool_calls):
        yield chunk(tool_calls=(call.as_delta(index),))
    yield chunk(
        extra=answer.extra,
        logprobs=None if text else logprobs,
        finish_reason=answer.finish_reason,
        usage=answer.usage,
        form=form and structs.replace(form, inline=""),
    )


def _head(form: Form) -> Form:
    """What of the form must be known from the beginning: what stands in every chunk, the
    reasoning's place. All else comes with the last chunk."""
    return Form(completion=form.constant, reasoning=form.reasoning, inline=form.inline)


def _pieces(text: str) -> Iterator[str]:
    """The text in pieces of about one size, cut between words where there are any."""
    size = max(_SHORTEST, math.ceil(len(text) / PIECES))
    start = 0
    while len(text) - start > size:
        least = start + size
        cut = _WORD_END.search(text, least, least + size) or _BETWEEN.search(text, least)
        end = cut.start() if cut else len(text)
        yield text[start:end]
        start = end
    if start < len(text):
        yield text[start:]
