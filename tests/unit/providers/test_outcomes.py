"""Every answer that a provider is known to give is read as its line in outcomes/ says."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.chat import Chunk
from proxy.core.errors import Fault
from tests.unit.providers import replay

PROVIDERS = list(replay.CATALOG.providers)
CASES = [(provider, case) for provider in PROVIDERS for case in replay.cases(provider)]
STREAMS = [(provider, case) for provider, case in CASES if replay.load(provider, case).streams]


def each(cases: list[tuple[str, str]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("provider", "case"), cases, ids=["/".join(c) for c in cases])


@each(CASES)
def test_outcome(provider: str, case: str) -> None:
    assert replay.outcome(provider, case) == replay.outcomes(provider)[case].strip()


@pytest.mark.parametrize("provider", PROVIDERS)
def test_each_fixture_has_its_line(provider: str) -> None:
    assert list(replay.outcomes(provider)) == replay.cases(provider)


def played(provider: str, pieces: list[bytes]) -> tuple[list[Chunk], str, bool]:
    """The chunks of a stream, the fault it ends in, and whether it was finished."""
    decoder = replay.adapter(provider).make_decoder(replay.target(provider))
    chunks: list[Chunk] = []
    try:
        for piece in pieces:
            chunks += decoder.feed(piece)
        chunks += decoder.end()
    except Fault as fault:
        return chunks, replay.describe_fault(fault), decoder.finished
    return chunks, "", decoder.finished


@each(STREAMS)
@settings(max_examples=6)
@given(cuts=st.lists(st.integers(0, 8000), max_size=6))
def test_a_stream_reads_the_same_however_it_is_cut(
    provider: str, case: str, cuts: list[int]
) -> None:
    body = replay.load(provider, case).body
    places = sorted({0, *(cut % len(body) for cut in cuts), len(body)})
    pieces = [body[a:b] for a, b in pairwise(places)]
    whole, cut = played(provider, [body]), played(provider, pieces)
    assert cut[1:] == whole[1:]
    if not whole[1]:  # what comes before a fault may be told or not
        assert replay.merge(cut[0]) == replay.merge(whole[0])


@each(STREAMS)
def test_a_stream_reads_the_same_byte_by_byte(provider: str, case: str) -> None:
    body = replay.load(provider, case).body
    single = played(provider, [body[i : i + 1] for i in range(len(body))])
    whole = played(provider, [body])
    assert single[1:] == whole[1:]
    if not whole[1]:
        assert replay.describe(replay.collect(single[0])) == replay.describe(
            replay.collect(whole[0])
        )
