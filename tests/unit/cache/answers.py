"""Answers that hypothesis makes up."""

from hypothesis import strategies as st

from proxy.core.chat import Answer, Usage
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
