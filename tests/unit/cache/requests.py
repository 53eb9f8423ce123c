"""Requests that hypothesis makes up, and a speaker that puts each of them in other words."""

import copy
import json
from random import Random
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from proxy.core.errors import InvalidRequest
from proxy.dialects import openai

Request = dict[str, Any]


def valid(request: Request) -> bool:
    """Whether the dialect takes it, and no field says nothing: without tools there are no calls
    at once."""
    if "parallel_tool_calls" in request and not request.get("tools"):
        return False
    try:
        openai.parse_chat(json.dumps(request).encode())
    except InvalidRequest:
        return False
    return True


# Requests in OpenAI's form, without a word too many: what follows says the same otherwise.

TEXT = st.text(max_size=12)
WORD = st.text(min_size=1, max_size=6)
NUMBER = (
    st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([0, 1, -1, 1.5, -0.0, 1e300, 2**53 + 1])
)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
UNKNOWN = st.dictionaries(
    st.sampled_from(["x_one", "x_two"]), JSON.filter(lambda value: value is not None), max_size=2
)


def with_unknown(
    form: st.SearchStrategy[dict[str, Any]],
) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(form, UNKNOWN).map(lambda pair: {**pair[0], **pair[1]})


def fields(
    needed: dict[str, st.SearchStrategy[Any]], **optional: st.SearchStrategy[Any]
) -> st.SearchStrategy[dict[str, Any]]:
    return with_unknown(st.fixed_dictionaries(needed, optional=optional))


TEXT_PART = fields({"type": st.just("text"), "text": TEXT})
IMAGE_PART = fields(
    {
        "type": st.just("image_url"),
        "image_url": st.fixed_dictionaries(
            {"url": st.sampled_from(["https://a/1", "data:image/png;base64,QUJD"])},
            optional={"detail": st.sampled_from(["low", "high"])},
        ),
    }
)
PARTS = st.lists(TEXT_PART | IMAGE_PART, min_size=2, max_size=3)
CALL = st.fixed_dictionaries(
    {
        "id": WORD,
        "type": st.just("function"),
        "function": st.fixed_dictionaries({"name": WORD, "arguments": TEXT}),
    },
    optional={"extra_content": st.dictionaries(WORD, JSON, max_size=2)},
)
MESSAGE = st.one_of(
    fields({"role": st.sampled_from(["system", "user", "assistant"]), "content": TEXT}, name=WORD),
    fields({"role": st.just("user"), "content": PARTS}),
    fields(
        {"role": st.just("assistant"), "tool_calls": st.lists(CALL, min_size=1, max_size=2)},
        content=TEXT,
        reasoning_content=TEXT,
    ),
    fields({"role": st.just("tool"), "tool_call_id": WORD, "content": TEXT}),
)
SCHEMA = st.dictionaries(WORD, JSON, max_size=3)
TOOLS = st.lists(
    fields(
        {
            "type": st.just("function"),
            "function": fields(
                {"name": st.sampled_from(["f", "g", "h"])},
                description=TEXT,
                parameters=SCHEMA,
                strict=st.booleans(),
            ),
        }
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda tool: tool["function"]["name"],
)
FORMAT = st.just({"type": "json_object"}) | st.fixed_dictionaries(
    {
        "type": st.just("json_schema"),
        "json_schema": st.fixed_dictionaries(
            {"name": WORD, "schema": SCHEMA},
            optional={"strict": st.booleans(), "description": TEXT},
        ),
    }
)
OF_BOTH = {
    "max_tokens": st.integers(1, 1000),
    "temperature": st.sampled_from([0, 0.25, 1.5]),
    "top_p": st.sampled_from([0, 0.25, 0.5]),
    "stop": st.lists(WORD, min_size=1, max_size=3),
    "seed": st.integers(-(2**60), 2**60),
    "tools": TOOLS,
    "response_format": FORMAT,
}
OF_OPENAI = {
    "frequency_penalty": st.sampled_from([-1, 0.5]),
    "presence_penalty": st.sampled_from([-1, 0.5]),
    "logprobs": st.just(True),
    "top_logprobs": st.integers(0, 19),
    "parallel_tool_calls": st.just(False),
    "reasoning_effort": WORD.filter(str.isalpha),
}
MESSAGES = st.lists(MESSAGE, min_size=1, max_size=4)
SHARED = st.fixed_dictionaries({"messages": MESSAGES}, optional=OF_BOTH).filter(valid)
VALID = with_unknown(
    st.fixed_dictionaries({"messages": MESSAGES}, optional={**OF_BOTH, **OF_OPENAI})
).filter(valid)

WHOLE = {
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "maxTokens",
    "dimensions",
    "seed",
    "top_logprobs",
    "n",
    "timeout",
    "ttl",
}
CAMEL = {
    "max_tokens": "maxTokens",
    "top_p": "topP",
    "tool_choice": "toolChoice",
    "response_format": "responseFormat",
}


class Speaker:
    """Says the same request in other words, by chance."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)

    def maybe(self) -> bool:
        return self.chance.random() < 0.4

    def add(self, form: dict[str, Any], **words: Any) -> None:
        for name, value in words.items():
            if name not in form and self.maybe():
                form[name] = value

    def body(self, request: Request, dialect: str) -> bytes:
        form = copy.deepcopy(request)
        for message in form["messages"]:
            self.message(message)
        for tool in form.get("tools", ()):
            self.tool(tool)
            self.add(tool["function"], description=None, parameters=None, strict=None)
        if wanted := form.get("response_format", {}).get("json_schema"):
            self.add(wanted, strict=None, description=None)
        self.add(form, seed=None, stop=self.chance.choice([None, []]), max_tokens=None)
        self.add(form, temperature=1, top_p=0.95, user="u", metadata={"a": "b"}, timeout=1000)
        self.add(form, stream=self.maybe(), response_format={"type": "text"})
        self.add(form, tools=self.chance.choice([None, []]))
        self.add(form, tool_choice="auto" if form.get("tools") else "none")
        if isinstance(form.get("stop"), list) and len(form["stop"]) == 1 and self.maybe():
            [form["stop"]] = form["stop"]
        if dialect == "native":
            self.native(form)
        else:
            self.openai(form)
        return self.spelled(form).encode()

    def openai(self, form: dict[str, Any]) -> None:
        self.add(form, n=1, logprobs=False, parallel_tool_calls=True, top_logprobs=None)
        self.add(form, stream_options={"include_usage": True}, model="m", x_three=None)
        self.add(form, frequency_penalty=None, reasoning_effort=None, cache={"ttl": 5})
        self.add(form, safety_identifier="someone", prompt_cache_key="some key")
        if "max_tokens" in form and self.maybe():
            form["max_completion_tokens"] = form.pop("max_tokens")

    def native(self, form: dict[str, Any]) -> None:
        for name, camel in CAMEL.items():
            if name in form:
                form[camel] = form.pop(name)
        first, *others = form["messages"]
        plain = {"role", "content"}
        text = first.get("content") if first.keys() == plain else None
        if others and first["role"] == "system" and isinstance(text, str) and text:
            form |= {"system": text, "messages": others}
        if len(form["messages"]) == 1:
            [only] = form["messages"]
            text = only["content"] if only.keys() == plain and only["role"] == "user" else None
            if isinstance(text, str) and text.strip():
                form["prompt"] = text
                del form["messages"]

    def message(self, message: dict[str, Any]) -> None:
        if isinstance(message.get("content"), str) and self.maybe():
            message["content"] = [{"type": "text", "text": message["content"]}]
        if isinstance(message.get("content"), list):
            for part in message["content"]:
                self.add(part, text=None, image_url=None, x_three=None)
                if part.get("image_url"):
                    self.add(part["image_url"], detail=None)
        for call in message.get("tool_calls", ()):
            self.tool(call)
            self.add(call, extra_content=None)
        self.add(message, refusal=None, tool_calls=self.chance.choice([None, []]), name=None)
        self.add(message, tool_call_id=None, extra_content=None)
        if message["role"] == "assistant":
            self.add(message, content=None)

    def tool(self, form: dict[str, Any]) -> None:
        if self.maybe():
            del form["type"]

    def spelled(self, value: Any, name: str = "") -> str:
        space = self.chance.choice(["", " ", "\n\t"])
        if isinstance(value, dict):
            items = list(value.items())
            self.chance.shuffle(items)
            pairs = (f"{self.spelled(n)}:{space}{self.spelled(v, n)}" for n, v in items)
            return "{" + space + f",{space}".join(pairs) + space + "}"
        if isinstance(value, list):
            return "[" + space + f",{space}".join(map(self.spelled, value)) + "]"
        if isinstance(value, str):
            return '"' + "".join(map(self.sign, value)) + '"'
        if isinstance(value, bool) or value is None or name in WHOLE:
            return json.dumps(value)
        return self.chance.choice(self.numbers(value))

    def sign(self, sign: str) -> str:
        plain = json.dumps(sign, ensure_ascii=False)[1:-1]
        escaped = f"\\u{ord(sign):04x}" if ord(sign) < 0x10000 else json.dumps(sign)[1:-1]
        return self.chance.choice([plain, plain, plain, "\\/" if sign == "/" else escaped])

    def numbers(self, value: float) -> list[str]:
        spellings = [repr(value)]
        if isinstance(value, float):
            spellings += [f"{value:.17e}", f"{value:.17E}"]
            if value.is_integer() and abs(value) < 2**53 and repr(value)[0] != "-":
                spellings.append(str(int(value)))
        elif abs(value) < 2**53:
            spellings += [f"{value}.0", f"{value}.00e+00"] + ([f"{value}0e-1"] if value else [])
        return spellings


CHOICES = {"role", "type", "detail", "url"}
"""Fields of which another value may be refused."""


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of everything in `value`."""
    inner: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        inner = [*value.items()]
    elif isinstance(value, list):
        inner = [*enumerate(value)]
    return [path, *(place for name, each in inner for place in places(each, (*path, name)))]


def changed(value: Any, draw: st.DrawFn) -> Any:
    """Another value of the same type, as near as may be."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        at = draw(st.integers(0, len(value)))
        sign = draw(st.characters(codec="utf-8"))
        one_less = value[:at] + value[at + 1 :]
        other = draw(st.sampled_from([value[:at] + sign + value[at:], one_less]))
        return other if other != value else value + sign
    if isinstance(value, int):
        return value + draw(st.sampled_from([1, -1]))
    if isinstance(value, float):
        return value / 2 if value else 0.5
    if isinstance(value, dict):
        return {**value, "x_new": draw(JSON.filter(lambda new: new is not None))}
    return [*value, *value[-1:]] if value else [0]


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Request, Request]:
    """A request and another one that differs from it in one place."""
    request = draw(VALID)
    path = draw(st.sampled_from(places(request)))
    other = copy.deepcopy(request)
    holder: Any = None
    value: Any = other
    for name in path:
        holder, value = value, value[name]
    assume(value is not None and not CHOICES.intersection(path))
    new = changed(value, draw)
    if holder is None:
        other = new
    else:
        holder[path[-1]] = new
    assume(valid(other))
    return request, other


# A few signs, some of which mean something in JSON: what is put together of them looks alike.
SIGNS = st.text('ab",[]:{}\\\n', max_size=3)
ALIKE = st.fixed_dictionaries(
    {
        "messages": st.lists(
            st.fixed_dictionaries(
                {
                    "role": st.sampled_from(["user", "system"]),
                    "content": SIGNS
                    | st.lists(
                        st.fixed_dictionaries({"type": st.just("text"), "text": SIGNS}),
                        min_size=2,
                        max_size=3,
                    ),
                },
                optional={"name": SIGNS, "x": SIGNS},
            ),
            min_size=1,
            max_size=3,
        )
    },
    optional={"stop": st.lists(SIGNS.filter(bool), min_size=1, max_size=3), "x": SIGNS},
).filter(valid)
