"""Reads what Gemini answers, whole or streamed, and what its parts mean in OpenAI's terms."""

import sys
from typing import Any

import msgspec
from msgspec import Raw, Struct, structs

from proxy.core import json_guard
from proxy.core.chat import Answer, Chunk, Usage
from proxy.core.collect import Collector
from proxy.core.errors import Fault, FaultDetails
from proxy.core.loose_json import as_text
from proxy.core.messages import ToolCallDelta
from proxy.core.splice import NULL
from proxy.core.sse import Event
from proxy.providers.faults import read_inner_fault
from proxy.providers.finish import check_finish, infer_finish, read_finish
from proxy.providers.garbage import decode, garbage, show
from proxy.providers.stream import EventReader, is_done
from proxy.providers.surrogates import Halves, has_halves, mend
from proxy.providers.target import Target
from proxy.providers.tool_calls import make_call_id, read_arguments
from proxy.providers.usage import Counts, believe, is_absent, read_number, read_object

_BROKEN_OFF = frozenset({
    "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MALFORMED_RESPONSE",
    "MISSING_THOUGHT_SIGNATURE", "LANGUAGE", "NO_IMAGE", "IMAGE_OTHER", "OTHER",
})  # fmt: skip
"""Reasons which say that there is no answer to this request, or none that is whole. Another
model may have one; it says nothing of what this one does with others."""


class GeminiCall(Struct):
    """A functionCall: its arguments are an object, and older models give it no id. They may hold
    any number, so they stay unread."""

    name: str
    args: Raw = NULL
    id: str | None = None


class Blob(Struct, rename="camel"):
    """Bytes in base64."""

    mime_type: str
    data: str


class GeminiPart(Struct, rename="camel"):
    """A part of an answer. `thought` marks what the model says of its reasoning."""

    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: GeminiCall | None = None
    inline_data: Blob | None = None


class Content(Struct):
    """The parts; none where all tokens went into thoughts, or where nothing may be said."""

    parts: list[GeminiPart] | None = None


class _LikelyToken(Struct, rename="camel"):
    token: str | None = None
    log_probability: Raw = NULL


class _Step(Struct):
    candidates: list[_LikelyToken] | None = None


class _LogprobsResult(Struct, rename="camel"):
    """Log probabilities, step by step."""

    chosen_candidates: list[_LikelyToken] | None = None
    top_candidates: list[_Step] | None = None


class GeminiCandidate(Struct, rename="camel"):
    """An answer, or the next piece of it."""

    content: Content | None = None
    finish_reason: Any = None
    finish_message: str | None = None
    logprobs_result: _LogprobsResult | None = None


class _PromptFeedback(Struct, rename="camel"):
    """Why a prompt was not let through."""

    block_reason: str | None = None
    block_reason_message: str | None = None


class GenerateContentResponse(Struct, rename="camel"):
    """What Gemini answers, whole or a piece of it."""

    candidates: list[GeminiCandidate] | None = None
    prompt_feedback: _PromptFeedback | None = None
    usage_metadata: Raw = NULL
    model_version: Any = None
    response_id: Any = None
    error: Any = None


_RESPONSE = json_guard.Decoder(
    GenerateContentResponse, float_hook=float
)  # 1e999 is infinite, and no error
_LIST = json_guard.Decoder(list[msgspec.Raw])


def read_answer(target: Target, body: bytes) -> Answer:
    """Reads a whole answer. Raises Fault."""
    reader = GeminiReader(target)
    reader.read_response(body)
    if not reader.finished:
        raise garbage(target, "It has no candidate with a finish reason", body)
    collector = Collector(limit=sys.maxsize)  # it is here already
    for chunk in reader.chunks:
        collector.add(chunk)
    return collector.answer()


class GeminiReader(EventReader):
    """Reads a stream of responses. It has no mark of its end: it is finished when a finish
    reason has come.

    Every response counts the tokens anew, the prompt's at first too high: the usage goes
    out with the finish reason, or at the end of an answer that broke off.
    """

    read_answer = staticmethod(read_answer)

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._calls = 0
        self._images = 0
        self._halves = Halves()
        self._usage: Usage | None = None

    def read_event(self, event: Event) -> bool:
        """Reads a response, or what a gateway adds: an error's event, a mark of the end."""
        if event.name == "error":
            raise read_inner_fault(self.target, event.data)
        if not is_done(event):
            return self.read_response(event.data)
        self.over = True
        return True

    def read_whole(self, body: bytes) -> None:
        """Reads a body that is one response or, where `alt=sse` was lost, a list of them."""
        is_list = body.lstrip().startswith(b"[")
        for response in decode(self.target, _LIST, body) if is_list else (body,):
            self.read_response(bytes(response))

    def end(self) -> list[Chunk]:
        """The usage of an answer that broke off."""
        return [] if self.finished else self._report_usage()

    def read_response(self, data: bytes) -> bool:
        """Whether it holds something of an answer. Raises Fault."""
        halved = data if has_halves(data) else None
        data = mend(data)
        response = decode(self.target, _RESPONSE, data)
        if response.error:
            raise read_inner_fault(self.target, data)
        self._usage = read_usage(self.target, response.usage_metadata) or self._usage
        feedback = response.prompt_feedback
        if response.candidates:
            self._read_candidate(response, response.candidates[0], halved)
        elif feedback and feedback.block_reason:
            reason = f"The prompt was blocked: {feedback.block_reason}."
            refusal = " ".join(filter(None, (reason, feedback.block_reason_message)))
            self._add(response, refusal=refusal, finish_reason="content_filter")
        elif is_absent(response.usage_metadata):
            return False
        elif self.finished:
            self.chunks += self._report_usage()
        return True

    def _read_candidate(
        self, response: GenerateContentResponse, candidate: GeminiCandidate, halved: bytes | None
    ) -> None:
        reason = candidate.finish_reason
        if isinstance(reason, str) and reason.upper() in _BROKEN_OFF:
            message = candidate.finish_message or f"The answer broke off: {reason}."
            message = show(self.target, message)
            raise Fault(
                "unavailable", message, blame="caller", details=FaultDetails(code=reason.lower())
            )
        check_finish(self.target, reason)
        parts = (candidate.content and candidate.content.parts) or []
        if parts and (halved or self._halves):
            self._join(parts, halved, last=bool(reason))
        texts = [part for part in parts if part.text is not None and not part.thought]
        calls = [self._read_call(p, p.function_call, response) for p in parts if p.function_call]
        images = [self._read_image(p.inline_data) for p in parts if p.inline_data and not p.thought]
        signatures = (part.thought_signature for part in reversed(texts))
        signature = next((signature for signature in signatures if signature), None)
        extra = {"images": images or None, "extra_content": _wrap_signature(signature)}
        self._add(
            response,
            text="".join(part.text or "" for part in texts),
            reasoning="".join(part.text or "" for part in parts if part.thought),
            tool_calls=tuple(calls),
            finish_reason=self._read_finish(reason),
            logprobs=_read_logprobs(candidate.logprobs_result),
            extra={name: value for name, value in extra.items() if value is not None},
        )

    def _read_finish(self, reason: Any) -> str | None:
        """The finish reason; a stop is `tool_calls` where the model called a tool."""
        called = bool(self._calls)
        finish = read_finish(reason, called)
        return infer_finish(called) if finish == "stop" else finish

    def _join(self, parts: list[GeminiPart], halved: bytes | None, *, last: bool) -> None:
        """Joins the halves of characters in the parts' texts. halved: the response with them."""
        texts = [part.text for part in parts]
        if halved:
            content = json_guard.decode_leniently(halved)["candidates"][0]["content"]
            texts = [part.get("text") for part in content["parts"]]
        for part, text in zip(parts, texts, strict=True):
            if text is not None:
                part.text = self._halves.join(part.thought, text, last=last)

    def _read_image(self, blob: Blob) -> dict[str, Any]:
        """An image of the answer in the form that OpenRouter gives it in a message."""
        index, self._images = self._images, self._images + 1
        url = f"data:{blob.mime_type};base64,{blob.data}"
        return {"type": "image_url", "image_url": {"url": url}, "index": index}

    def _read_call(
        self, part: GeminiPart, call: GeminiCall, response: GenerateContentResponse
    ) -> ToolCallDelta:
        index, self._calls = self._calls, self._calls + 1
        arguments = read_arguments(self.target, bytes(call.args))
        return ToolCallDelta(
            index=index,
            id=call.id or make_call_id(response.response_id, index, call.name, arguments),
            name=call.name,
            arguments=arguments,
            extra_content=_wrap_signature(part.thought_signature),
        )

    def _add(self, response: GenerateContentResponse, **fields: Any) -> None:
        self.finished = self.finished or bool(fields["finish_reason"])
        usage = self._usage if self.finished else None
        model, id_ = as_text(response.model_version), as_text(response.response_id)
        self.chunks.append(Chunk(model=model, id=id_, usage=usage, **fields))

    def _report_usage(self) -> list[Chunk]:
        return [Chunk(usage=self._usage, usage_only=True)] if self._usage else []


def _wrap_signature(signature: str | None) -> dict[str, Any] | None:
    """A thought signature as Google's own OpenAI endpoint hands it out."""
    return {"google": {"thought_signature": signature}} if signature else None


def read_usage(target: Target, report: Raw) -> Usage | None:
    """The tokens. Thoughts are counted beside the candidates, a tool's prompt beside the prompt;
    a count of 0 is left out, and at times the candidates' too, which is then what is left of the
    total."""
    fields = read_object(report)
    prompt, candidates = fields.get("promptTokenCount"), fields.get("candidatesTokenCount")
    thoughts = fields.get("thoughtsTokenCount")
    cached = fields.get("cachedContentTokenCount")
    counts = Counts(input=prompt, output=candidates, cached=cached, reasoning=thoughts)
    usage = believe(target, counts)
    tool_prompt = fields.get("toolUsePromptTokenCount")
    beside = believe(target, Counts(input=tool_prompt or 0, output=thoughts or 0))
    if usage is None or beside is None:
        return None
    input, output = usage.input + beside.input, usage.output + beside.output
    total = believe(target, Counts(input=fields.get("totalTokenCount")))
    if candidates is None and prompt is not None and total:
        output = max(output, total.input - input)
    return structs.replace(usage, input=input, output=output)


def _read_logprobs(result: _LogprobsResult | None) -> dict[str, Any] | None:
    """The log probabilities in OpenAI's form."""
    if result is None or not result.chosen_candidates:
        return None
    chosen = [_read_token(candidate) for candidate in result.chosen_candidates]
    for token, step in zip(chosen, result.top_candidates or (), strict=False):
        token["top_logprobs"] = [_read_token(candidate) for candidate in step.candidates or ()]
    return {"content": [{"top_logprobs": [], **token} for token in chosen]}


def _read_token(likely: _LikelyToken) -> dict[str, Any]:
    logprob = read_number(likely.log_probability)
    return {"token": likely.token, "logprob": logprob, "bytes": None}
