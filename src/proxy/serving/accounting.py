"""What an answer used and cost: settled with the limits, kept in the request's record, and sent
to the caller in headers."""

from msgspec import structs

from proxy.analytics.record.request_record import UNSENT
from proxy.core.chat import CANCELLED, Answer, Attempt, CacheStatus, Cost, Served, Usage
from proxy.core.errors import ProxyError
from proxy.core.messages import JSONObject
from proxy.core.web import encode_value, list_names
from proxy.dialects import cloudflare
from proxy.limits.meter import Meter
from proxy.routing.fallback import Success
from proxy.serving.context import RequestContext
from proxy.serving.task import ChatTask

MESSAGE_KEPT = 100
"""Characters of a provider's message that a record keeps, where it may."""
MOST_COUNTED = 10**13
"""Tokens of an answer, or nano-dollars: ten thousand dollars."""


def bounded(number: int | None) -> int | None:
    """Bounds a provider's number by what can be true: sums of it must not run over."""
    if number is None or 0 <= number <= MOST_COUNTED:
        return number
    return 0 if number < 0 else MOST_COUNTED


def count_characters(answer: Answer) -> int:
    """Counts the characters that the model has written."""
    arguments = [call.function.arguments for call in answer.tool_calls]
    texts = [answer.text, answer.reasoning, answer.refusal, *arguments]
    return sum(len(text) for text in texts if text)


def estimate_usage(meter: Meter, characters: int, limit: int | None) -> Usage:
    """Estimates what an answer of so many characters has used whose provider does not report it,
    or that broke off before. limit: the most tokens that it may have."""
    output = -(-characters // 4)
    output = output if limit is None else min(output, limit)
    return Usage(input=meter.expected(None).input, output=output)


def settle(context: RequestContext, success: Success, usage: Usage, *, estimated: bool) -> Cost:
    """Replaces what an attempt has reserved by what its answer used, and records that."""
    cost = success.cost(usage, estimated=estimated)
    success.reservation.settle(usage, cost)
    record_usage(context, usage)
    return cost


def describe_served(
    context: RequestContext,
    success: Success,
    cost: Cost,
    cache_status: CacheStatus = "bypass",
) -> Served:
    """Describes how an answer of a provider was served."""
    return Served(
        request_id=context.id,
        answer_id=context.answer_id,
        provider=success.target.spec.name,
        model=success.target.model.id,
        attempts=success.attempts,
        dropped=success.dropped,
        cost=cost,
        cache_status=cache_status,
        ms=context.ms,
        created=int(context.began),
        explained=_explain(context, success),
        wire=success.target.wire,
        reason=success.reason,
    )


def settle_chat(task: ChatTask, success: Success, reported: Usage | None, characters: int) -> Cost:
    """Settles a chat's answer. reported: its usage by the provider; characters: of the answer,
    where that is None."""
    limit = task.meter.output_limit(success.target.offer) or task.call.chat.max_tokens
    usage = reported or estimate_usage(task.meter, characters, limit)
    cost = settle(task.context, success, usage, estimated=reported is None)
    task.meter.close()
    return cost


def describe_chat(task: ChatTask, success: Success, cost: Cost) -> Served:
    """Describes how a chat's answer was served."""
    status: CacheStatus = "miss" if task.is_cached else "bypass"
    return describe_served(task.context, success, cost, status)


def _explain(context: RequestContext, success: Success) -> list[JSONObject] | None:
    """Says why this provider was chosen, where an operator wants to know."""
    admin = context.principal is not None and context.principal.admin
    if not admin or context.request.headers.get("x-proxy-explain") != "1":
        return None
    return [
        {
            "strategy": order.strategy,
            "explored": order.explored,
            "candidates": [structs.asdict(scored) for scored in order.scores],
        }
        for order in success.explain()
    ]


def served_headers(served: Served) -> dict[str, str]:
    """The headers that say how a request was served."""
    headers = {"x-proxy-provider": served.provider, "x-proxy-model": encode_value(served.model)}
    if served.attempts:
        failed = (attempt.outcome not in ("ok", CANCELLED) for attempt in served.attempts)
        headers[cloudflare.STEP] = str(sum(failed))
    usd, origin = served.cost.usd, served.cost.origin
    if usd is not None and origin:
        headers["x-proxy-cost"] = f"{usd:.9f}"
        headers["x-proxy-cost-origin"] = origin
    if served.dropped:
        headers["x-proxy-dropped"] = list_names(served.dropped)
    return headers


def record_served(context: RequestContext, served: Served) -> None:
    """Records how the request was served."""
    record = context.record
    record_attempts(context, served.attempts)
    record.provider, record.model, record.reason = served.provider, served.model, served.reason
    record.cache_status, record.cache_tier = served.cache_status, served.cache_tier or ""
    record.cost = bounded(served.cost.nano_usd)
    record.cost_origin = served.cost.origin or ""


def record_usage(context: RequestContext, usage: Usage) -> None:
    """Records what an answer used."""
    record = context.record
    record.input, record.output = bounded(usage.input), bounded(usage.output)
    record.cached, record.reasoning = bounded(usage.cached), bounded(usage.reasoning)


def record_attempts(context: RequestContext, attempts: tuple[Attempt, ...]) -> None:
    """Records what was tried, unless another request's record has it."""
    if attempts:
        # One that was given up took its time beside another.
        context.upstream_ms = sum(each.ms for each in attempts if each.outcome != CANCELLED)
    if attempts and not context.is_follower:
        context.record.attempts = tuple(map(_shorten, attempts))


def _shorten(attempt: Attempt) -> Attempt:
    """An attempt with no longer message than a record keeps."""
    if not attempt.message:
        return attempt
    return structs.replace(attempt, message=attempt.message[:MESSAGE_KEPT])


def record_error(context: RequestContext, error: ProxyError) -> None:
    """Records the error, and the last provider that was tried where none has answered."""
    record = context.record
    record_attempts(context, error.attempts)
    record.error, record.source = error.type, error.source
    sent = [attempt for attempt in error.attempts if attempt.outcome not in UNSENT]
    if sent and not record.provider:
        record.provider, record.model = sent[-1].provider, sent[-1].model
