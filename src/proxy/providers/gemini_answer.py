"""Reads what Gemini answers, whole or streamed, and what its parts mean in OpenAI's terms."""

import sys
from typing import Any

import msgspec
from msgspec import Raw, Struct, structs

from proxy.core import nesting
from proxy.core.chat import Answer, Chunk, ToolCallDelta, Usage
from proxy.core.collect import Collector
from proxy.core.errors import Fault
from proxy.core.sse import Event
from proxy.providers import faults
from proxy.providers.adapter import Target
from proxy.providers.openai_answer import Choice, check, ended, finish_of, text_of
from proxy.providers.surrogates import Halves, has_halves, mend
from proxy.providers.usage import UNREPORTED, believed, decoded, is_absent, number
from proxy.providers.wire import DONE_DATA, StreamDecoder, call_id

_BROKEN_OFF = frozenset(
    {
        "MALFORMED_FUNCTION_CALL",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MALFORMED_RESPONSE",
        "MISSING_THOUGHT_SIGNATURE",
        "LANGUAGE",
        "NO_IMAGE",
        "IMAGE_OTHER",
        "OTHER",
    }
)
"""Reasons which say that there is no answer to this request, or none that is whole. Another
model may have one; it says nothing of what this one does with others."""


class FunctionCall(Struct):
    """A call: its arguments are an object, and older models give it no id. They may hold any
    number, so they stay unread."""

    name: str
    args: Raw = UNREPORTED
    id: str | None = None


class Blob(Struct, rename="camel"):
    """Bytes in base64."""

    mime_type: str
    data: str


class Part(Struct, rename="camel"):
    """A part of an answer. `thought` marks what the model tells of its reasoning."""

    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: FunctionCall | None = None
    inline_data: Blob | None = None


class Content(Struct):
    """The parts; none where all tokens went into thoughts, or where nothing may be said."""

    parts: list[Part] | None = None


class Likely(Struct, rename="camel"):
    """A token and its log probability."""

    token: str | None = None
    log_probability: Raw = UNREPORTED


class Step(Struct):
    """The likeliest tokens of one step."""

    candidates: list[Likely] | None = None


class Logprobs(Struct, rename="camel"):
    """Log probabilities, step by step."""

    chosen_candidates: list[Likely] | None = None
    top_candidates: list[Step] | None = None


class Candidate(Struct, rename="camel"):
    """One answer, or the next piece of it."""

    content: Content | None = None
    finish_reason: Any = None
    finish_message: str | None = None
    logprobs_result: Logprobs | None = None


class Feedback(Struct, rename="camel"):
    """Why a prompt was not let through."""

    block_reason: str | None = None
    block_reason_message: str | None = None


class Response(Struct, rename="camel"):
    """A GenerateContentResponse."""

    candidates: list[Candidate] | None = None
    prompt_feedback: Feedback | None = None
    usage_metadata: Raw = UNREPORTED
    model_version: Any = None
    response_id: Any = None
    error: Any = None


_RESPONSE = nesting.Decoder(Response, float_hook=float)  # 1e999 is infinite, and no error
_LIST = nesting.Decoder(list[msgspec.Raw])


def answer(target: Target, body: bytes) -> Answer:
    """Reads a whole answer. Raises Fault."""
    reader = Decoder(target)
    reader.read(body)
    if not reader.finished:
        raise faults.garbage(target, "It has no candidate with a finish reason", body)
    collector = Collector(limit=sys.maxsize)  # it is here already
    for chunk in reader.out:
        collector.add(chunk)
    return collector.answer()


class Decoder(StreamDecoder):
    """Reads a stream of responses. It has no mark of its end: it is finished when a finish
    reason has come.

    Every response counts the tokens anew, the prompt's at first too high: the usage goes
    out with the finish reason, or at the end of an answer that broke off.
    """

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._calls = 0
        self._images = 0
        self._halves = Halves()
        self._usage: Usage | None = None

    def event(self, event: Event) -> None:
        """Reads one response, or what a gateway adds: an error's event, a mark of the end."""
        if event.name == "error":
            raise faults.fault(self.target, faults.read(event.data))
        if event.data.strip().startswith(DONE_DATA):
            self.over = True
        else:
            self.read(event.data)

    def whole(self, body: bytes) -> None:
        """Reads a body that is one response or, where `alt=sse` was lost, a list of them."""
        if not body.lstrip().startswith(b"["):
            self.read(body)
            return
        try:
            responses = _LIST.decode(body)
        except faults.UNREADABLE as error:
            raise faults.unread(self.target, error, body) from error
        for response in responses:
            self.read(bytes(response))

    def end(self) -> list[Chunk]:
        """The last chunks."""
        chunks = super().end()
        if not self.finished and self._usage:
            chunks.append(Chunk(usage=self._usage, usage_only=True))
        return chunks

    def read(self, data: bytes) -> None:
        """Reads one response. Raises Fault."""
        halved = data if has_halves(data) else None
        data = mend(data)
        try:
            told = _RESPONSE.decode(data)
        except faults.UNREADABLE as error:
            raise faults.unread(self.target, error, data) from error
        if told.error:
            raise faults.fault(self.target, faults.read(data))
        self._usage = _usage(self.target, told.usage_metadata) or self._usage
        feedback = told.prompt_feedback
        if told.candidates:
            self._read_candidate(told, told.candidates[0], halved)
        elif feedback and feedback.block_reason:
            reason = f"The prompt was blocked: {feedback.block_reason}."
            refusal = " ".join(filter(None, (reason, feedback.block_reason_message)))
            self._add(told, refusal=refusal, finish_reason="content_filter")
        elif is_absent(told.usage_metadata):
            self.pass_over(data)
        elif self.finished and self._usage:
            self.out.append(Chunk(usage=self._usage, usage_only=True))

    def _read_candidate(self, told: Response, candidate: Candidate, halved: bytes | None) -> None:
        reason = candidate.finish_reason
        if isinstance(reason, str) and reason.upper() in _BROKEN_OFF:
            message = candidate.finish_message or f"The answer broke off: {reason}."
            message = faults.clean(self.target, message)
            raise Fault("unavailable", message, code=reason.lower(), blame="caller")
        check(self.target, Choice(finish_reason=reason))
        parts = (candidate.content and candidate.content.parts) or []
        if parts and (halved or self._halves):
            self._join(parts, halved, last=bool(reason))
        texts = [part for part in parts if part.text is not None and not part.thought]
        calls = [self._call(part, part.function_call, told) for part in parts if part.function_call]
        extra: dict[str, Any] = {}
        if images := [self._image(p.inline_data) for p in parts if p.inline_data and not p.thought]:
            extra["images"] = images
        signature = next((p.thought_signature for p in reversed(texts) if p.thought_signature), "")
        self._add(
            told,
            text="".join(part.text or "" for part in texts),
            reasoning="".join(part.text or "" for part in parts if part.thought),
            tool_calls=tuple(calls),
            finish_reason=self._finish(reason),
            logprobs=_logprobs(candidate.logprobs_result),
            extra=extra | ({"extra_content": _google(signature)} if signature else {}),
        )

    def _finish(self, reason: Any) -> str | None:
        """The finish reason; a stop is `tool_calls` where the model called a tool."""
        called = bool(self._calls)
        finish = finish_of(Choice(finish_reason=reason), called)
        return ended(called) if finish == "stop" else finish

    def _join(self, parts: list[Part], halved: bytes | None, *, last: bool) -> None:
        """Joins the halves of characters in the parts' texts. halved: the response with them."""
        texts = [part.text for part in parts]
        if halved:
            content = nesting.decode_leniently(halved)["candidates"][0]["content"]
            texts = [part.get("text") for part in content["parts"]]
        for part, text in zip(parts, texts, strict=True):
            if text is not None:
                part.text = self._halves.join(part.thought, text, last=last)

    def _image(self, blob: Blob) -> dict[str, Any]:
        """An image of the answer in the form that OpenRouter gives it in a message."""
        index, self._images = self._images, self._images + 1
        url = f"data:{blob.mime_type};base64,{blob.data}"
        return {"type": "image_url", "image_url": {"url": url}, "index": index}

    def _call(self, part: Part, call: FunctionCall, told: Response) -> ToolCallDelta:
        index, self._calls = self._calls, self._calls + 1
        arguments = self._arguments(call.args)
        return ToolCallDelta(
            index=index,
            id=call.id or call_id(told.response_id, index, call.name, arguments),
            name=call.name,
            arguments=arguments,
            extra_content=_google(part.thought_signature) if part.thought_signature else None,
        )

    def _arguments(self, args: Raw) -> str:
        """A call's arguments, without spaces between them. Raises Fault for what is no object."""
        if is_absent(args):
            return "{}"
        try:
            text = msgspec.json.format(bytes(args), indent=-1).decode()
        except faults.UNREADABLE as error:
            raise faults.unread(self.target, error, bytes(args)) from error
        if not text.startswith("{"):
            raise faults.garbage(self.target, "A call's arguments are no object", bytes(args))
        return text

    def _add(self, told: Response, **fields: Any) -> None:
        self.finished = self.finished or bool(fields["finish_reason"])
        usage = self._usage if self.finished else None
        model, id_ = text_of(told.model_version), text_of(told.response_id)
        self.out.append(Chunk(model=model, id=id_, usage=usage, **fields))


def _google(signature: str) -> dict[str, Any]:
    """A thought signature as Google's own OpenAI endpoint hands it out."""
    return {"google": {"thought_signature": signature}}


def _usage(target: Target, report: Raw) -> Usage | None:
    """The tokens. Thoughts are counted beside the candidates, a tool's prompt beside the prompt;
    a count of 0 is left out, and at times the candidates' too, which is then what is left of the
    total."""
    told = decoded(report)
    prompt, tool_prompt = told.get("promptTokenCount"), told.get("toolUsePromptTokenCount")
    candidates, thoughts = told.get("candidatesTokenCount"), told.get("thoughtsTokenCount")
    usage = believed(
        target, prompt, candidates, cached=told.get("cachedContentTokenCount"), reasoning=thoughts
    )
    beside = believed(target, tool_prompt or 0, thoughts or 0)
    if usage is None or beside is None:
        return None
    input, output = usage.input + beside.input, usage.output + beside.output
    total = believed(target, told.get("totalTokenCount"), None)
    if candidates is None and prompt is not None and total:
        output = max(output, total.input - input)
    return structs.replace(usage, input=input, output=output)


def _logprobs(told: Logprobs | None) -> dict[str, Any] | None:
    """The log probabilities in OpenAI's form."""
    if told is None or not told.chosen_candidates:
        return None
    chosen = [_token(candidate) for candidate in told.chosen_candidates]
    for token, step in zip(chosen, told.top_candidates or (), strict=False):
        token["top_logprobs"] = [_token(candidate) for candidate in step.candidates or ()]
    return {"content": [{"top_logprobs": [], **token} for token in chosen]}


def _token(told: Likely) -> dict[str, Any]:
    return {"token": told.token, "logprob": number(told.log_probability), "bytes": None}
