"""Reasoning that stands in the text is parted from the answer."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.providers.thinking import Thinking, split_thinking


@pytest.mark.parametrize(
    ("text", "answer", "thought"),
    [
        ("Hello", "Hello", ""),
        ("<think>\nHm.\n</think>\n\nHello", "Hello", "Hm."),
        (" \n<think>Hm.</think>Hello <think>x</think>", "Hello <think>x</think>", "Hm."),
        ("<think></think>Hello", "Hello", ""),
        ("<think>cut off", "", "cut off"),
        ("<think>a </thin b</think> c", "c", "a </thin b"),
        ("Say <think>", "Say <think>", ""),
        ("<thin", "<thin", ""),
        ("  ", "  ", ""),
    ],
)
def test_thinking(text: str, answer: str, thought: str) -> None:
    assert split_thinking(text) == (answer, thought)


@given(
    text=st.lists(st.sampled_from(["<think>", "</think>", "<", "/th", " ", "a"])).map("".join),
    cuts=st.lists(st.integers(0, 40)),
)
@example(text="<think>a</think>b", cuts=list(range(20)))
def test_thinking_reads_the_same_however_it_is_cut(text: str, cuts: list[int]) -> None:
    places = sorted({0, *(min(cut, len(text)) for cut in cuts), len(text)})
    thinking = Thinking()
    read = [thinking.feed(text[a:b]) for a, b in pairwise(places)]
    read.append(thinking.feed("", last=True))
    assert ("".join(t for t, _ in read), "".join(r for _, r in read)) == split_thinking(text)


@pytest.mark.parametrize("before", ["", "<think>", "<think>hm", "<think>hm</think>"])
def test_white_space_that_may_belong_to_nobody_is_joined_once(before: str) -> None:
    thinking = Thinking()
    thinking.feed(before)
    for _ in range(200_000):
        assert thinking.feed(" ") == ("", "")
        assert len(thinking._held) <= len(before)
