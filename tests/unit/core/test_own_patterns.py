"""What of regular expressions an operator may use: only what is bounded, whatever the text."""

import json
import re
from importlib import import_module

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.core.own_patterns import MOST_STEPS, OwnPattern, check, read_own_patterns
from tests.unit.privacy.backtracking import Steps

NONE = frozenset[str]()


@pytest.mark.parametrize(
    "text",
    [
        r"EMP-\d{6}",
        r"\b[A-Z]{2,4}-[0-9]{4,10}\b",
        r"(?:cust|acct)_[a-z0-9]{8}",
        r"(AB|CD){2}x?",
        r"[^\s,]{3}\.example\.com",
    ],
)
def test_what_is_bounded_is_taken(text: str) -> None:
    bound = check(text)
    assert 0 < bound.least <= bound.most


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a+", "without an upper bound"),
        ("(a+)+$", "without an upper bound"),
        ("(.*)*x", "without an upper bound"),
        ("(a|a)*b", "without an upper bound"),
        ("a{2,}", "means nothing"),
        ("(?:a?){50}a{50}", "steps"),
        ("(?:a{1,100}){1,100}x", "steps"),
        ("(?:a|a){30}x", "steps"),
        ("(?:(?:a|b){0,9}){0,9}c", "steps"),
        (r"[\w.]{1,500}@", "steps"),
        (r"(a)\1", "none of"),
        ("(?<=a)b", "another meaning"),
        ("(?i)abc", "another meaning"),
        ("(?P<n>a)", "another meaning"),
        ("^a", "means nothing"),
        ("a$", "means nothing"),
        ("a{2}{3}", "repetition"),
        ("a??", "repetition"),
        ("a{1,3}+", "repetition"),
        ("a{3,2}", "larger"),
        ("(a", "ends too early"),
        ("a)", "not open"),
        ("[a", "ends too early"),
        ("[z-a]", "is none"),
        ("[[a]", "in a class"),
        ("[]a]", "in a class"),
        ("a?", "no characters"),
        ("", "no characters"),
        (r"\b", "no characters"),
        ("a|", "no characters"),
        (r"\A", "none of"),
        ("((((((a))))))", "nests"),
        ("x" * 501, "more than 500"),
    ],
)
def test_what_is_not_is_refused_with_its_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        check(text)


def test_both_forms_of_the_setting() -> None:
    expected = (OwnPattern("EMP", r"EMP-\d{6}"), OwnPattern("KEY2", "a=b"))
    assert read_own_patterns("EMP = EMP-\\d{6}\n\nKEY2=a=b", NONE) == expected
    assert read_own_patterns(json.dumps({"EMP": r"EMP-\d{6}", "KEY2": "a=b"}), NONE) == expected
    assert read_own_patterns("", NONE) == ()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("emp=a", "must be upper-case"),
        ("A=a\nA=b", "names A, which is there already"),
        ("EMAIL=a", "names EMAIL"),
        ("just text", "NAME=PATTERN"),
        ('{"A": 1}', "JSON object"),
        ("EMP=a+", "EMP: the pattern repeats"),
        ("\n".join(f"N{n}=a" for n in range(21)), "at most 20"),
    ],
)
def test_a_wrong_setting_says_why(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        read_own_patterns(text, frozenset({"EMAIL"}))


atoms = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\d", r"\w", r"\b"])
quantifiers = st.sampled_from(["", "", "?", "{2}", "{0,3}", "{1,9}", "{3,40}"])
patterns = st.recursive(
    st.builds(str.__add__, atoms, quantifiers),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.builds(
            lambda parts, q: f"(?:{'|'.join(parts)}){q}",
            st.lists(inner, min_size=1, max_size=3),
            quantifiers,
        ),
    ),
    max_leaves=8,
)


@given(patterns, st.text("ab1_ ", max_size=60) | st.integers(0, 80).map(lambda n: "a" * n))
@example("a(?:a?){2}", "a")
@settings(max_examples=300, deadline=None)
def test_no_text_takes_more_steps_than_promised(pattern: str, text: str) -> None:
    try:
        bound = check(pattern)
    except ValueError:
        return
    promised = bound.ways * (bound.most + len(pattern))
    assert promised <= MOST_STEPS
    matcher = Steps(pattern)
    spans = matcher.find_all(text)
    # Each step of the bound is at most a step into a group, one of scanning and one of giving back.
    assert matcher.steps <= 3 * promised * (len(text) + 1)
    assert spans == [found.span() for found in re.finditer(pattern, text) if found[0]]
    assert all(bound.least <= end - start <= bound.most for start, end in spans)


@given(st.text("ab(){}[]|?*+.\\^$-,:0123456789wdb<=!P", max_size=24))
@settings(max_examples=500, deadline=None)
def test_any_text_is_refused_or_means_to_re_what_was_read(text: str) -> None:
    try:
        bound = check(text)
    except ValueError:
        return
    low, high = import_module("re._parser").parse(text).getwidth()
    assert (bound.least, bound.most) == (low, high)
