"""The errors that callers can meet, and the faults of single attempts.

ProxyError (rendered once, by the caller's dialect)
 ├ InvalidRequest 400 · AuthenticationFailed 401 · BudgetExceeded 402 · PermissionDenied 403
 ├ NotFound 404 · MethodNotAllowed 405 · PayloadTooLarge 413 · UnsupportedMediaType 415
 ├ RateLimitExceeded 429 · InternalError 500
 └ ProviderError 502 · NoProviderAvailable 503 · ProviderTimeout 504
Fault: why one attempt at one provider failed; routing turns the last one into a ProxyError.
ClientGone: the caller hung up while its answer was being written.
"""

from typing import ClassVar, Literal, TypeVar

from msgspec import Struct

from proxy.core.chat import Attempt, Blame

E = TypeVar("E", bound=Exception)
Source = Literal["proxy", "provider"]
FaultKind = Literal[
    "bad_request",  # 400, 422: the request itself is refused
    "unauthorized",  # 401, 402, 403: the proxy's own key or account, or what it may not do
    "not_found",  # 404: the model is not there
    "too_large",  # 413
    "rate_limited",  # 429
    "unavailable",  # 5xx and any other status
    "timeout",  # 408, or silence for too long
    "network",  # no connection, or it broke
    "garbage",  # an answer that cannot be read
]
BLAMED: dict[FaultKind, Blame] = {
    "bad_request": "caller",
    "unauthorized": "provider",
    "not_found": "model",
    "too_large": "caller",
    "rate_limited": "provider",
    "unavailable": "model",
    "timeout": "provider",
    "network": "provider",
    "garbage": "model",
}
"""Who causes a fault of each kind, where nothing says otherwise."""


class Outcome(Struct, frozen=True):
    """How an attempt ended; `gone`: it was given up. `blame`: who caused it, None for `ok` only."""

    kind: FaultKind | Literal["ok", "gone"]
    blame: Blame | None = None


OK = Outcome("ok")
CALLER_GONE = Outcome("gone", "caller")
GIVEN_UP = Outcome("gone", "proxy")
"""Another attempt was faster, or the proxy itself failed."""
Quota = Literal[
    "model",  # that of the one model
    "free_models",  # that which all models share whose id ends in `:free`
    "account",  # that of the proxy's own key or account, whatever the model
    "exhausted",  # the same, and it does not come back within minutes
]
"""What a provider's 429 says is used up."""


class ProxyError(Exception):
    """An error for the caller: `type` and `status` as SPEC.md lists them.

    `param` names the field at fault; `retry_after` is in seconds; `code` is a
    machine-readable word beside the type, in OpenAI's sense; `limit` names the proxy's own
    limit that was hit (core.permit.Refusal).
    """

    type: ClassVar[str] = "internal_error"
    status: int = 500

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
        source: Source = "proxy",
        status: int | None = None,
        attempts: tuple[Attempt, ...] = (),
        limit: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.limit = limit
        self.param = param
        self.code = code
        self.retry_after = retry_after
        self.source = source
        self.attempts = attempts
        if status is not None:
            self.status = status


class InvalidRequest(ProxyError):
    """The request is wrong; the message names the field."""

    type = "invalid_request"
    status = 400


class AuthenticationFailed(ProxyError):
    """No key, or one that is not known."""

    type = "authentication_failed"
    status = 401


class BudgetExceeded(ProxyError):
    """The key's budget is used up."""

    type = "budget_exceeded"
    status = 402


class PermissionDenied(ProxyError):
    """The key may not do this."""

    type = "permission_denied"
    status = 403


class NotFound(ProxyError):
    """No such path or model."""

    type = "not_found"
    status = 404


class MethodNotAllowed(ProxyError):
    """The path is there, the method is not; `allow` lists those that are."""

    type = "method_not_allowed"
    status = 405

    def __init__(self, message: str, *, allow: tuple[str, ...]) -> None:
        super().__init__(message)
        self.allow = allow


class PayloadTooLarge(ProxyError):
    """The body is over the limit."""

    type = "payload_too_large"
    status = 413


class UnsupportedMediaType(ProxyError):
    """The body is not JSON."""

    type = "unsupported_media_type"
    status = 415


class RateLimitExceeded(ProxyError):
    """A limit was hit: the proxy's own or, with source `provider`, the provider's."""

    type = "rate_limit_exceeded"
    status = 429


class InternalError(ProxyError):
    """A fault of the proxy or of its configuration."""

    type = "internal_error"
    status = 500


class ProviderError(ProxyError):
    """The attempts failed."""

    type = "provider_error"
    status = 502


class NoProviderAvailable(ProxyError):
    """No provider is configured, permitted and able."""

    type = "no_provider_available"
    status = 503


class ProviderTimeout(ProxyError):
    """No provider answered in time."""

    type = "provider_timeout"
    status = 504


class Fault(Exception):
    """Why one attempt failed. `message` may be shown to callers: it holds no key.

    `status` is the provider's HTTP status (None: it gave none), `kind` what it means:
    adapters map a provider's odd choices (Gemini's 400 for a bad key) to the kind.
    `lacks`: a bad_request that says that this model can't do what was asked, so that
    another one may. `retry_after` in seconds. `quota`: what a rate_limited one says is used
    up. `source`: who says so. `blame`: who caused it, BLAMED if not given.
    """

    def __init__(
        self,
        kind: FaultKind,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        param: str | None = None,
        retry_after: float | None = None,
        lacks: bool = False,
        quota: Quota = "model",
        source: Source = "provider",
        blame: Blame | None = None,
    ) -> None:
        super().__init__(message)
        self.source: Source = source
        self.kind: FaultKind = kind
        self.blame: Blame = blame or BLAMED[kind]
        self.message = message
        self.status = status
        self.code = code
        self.param = param
        self.retry_after = retry_after
        self.lacks = lacks
        self.quota: Quota = quota

    @property
    def outcome(self) -> Outcome:
        """How the attempt that it ended has ended."""
        return Outcome(self.kind, self.blame)

    @property
    def falls_over(self) -> bool:
        """Whether another provider could still answer the same request."""
        return self.kind != "bad_request" or self.lacks


def without_frames(error: E) -> E:
    """The error without the frames that it came through, for whoever keeps it. They hold the
    request's body, and where one of them holds the error too only a garbage collection frees it."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


class ClientGone(Exception):
    """The caller hung up while its answer was being written."""
