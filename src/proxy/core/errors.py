"""The errors that callers can meet, and the faults of single attempts.

ProxyError (rendered once, by the caller's dialect)
 ├ InvalidRequest 400 · AuthenticationFailed 401 · BudgetExceeded 402 · PermissionDenied 403
 ├ NotFound 404 · MethodNotAllowed 405 · PayloadTooLarge 413 · UnsupportedMediaType 415
 ├ RateLimitExceeded 429 · InternalError 500 (Unavailable 503)
 └ ProviderError 502 · NoProviderAvailable 503 · ProviderTimeout 504
Fault: why an attempt at a provider failed; routing turns the last one into a ProxyError.
ClientGone: the caller hung up while its answer was being written.
"""

from typing import ClassVar, Literal, TypeVar

from msgspec import Struct

from proxy.core.chat import Attempt, Blame, Wire

E = TypeVar("E", bound=Exception)
LONGEST_SHOWN = 200
"""Characters of a path or a reason that an error shows: they quote the caller, at any length."""
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
"""The cause of a fault of each kind, where nothing says otherwise."""


class Outcome(Struct, frozen=True):
    """How an attempt ended; `gone`: it was given up. `blame` is None for `ok` only."""

    kind: FaultKind | Literal["ok", "gone"]
    blame: Blame | None = None


OK = Outcome("ok")
CALLER_GONE = Outcome("gone", "caller")
GIVEN_UP = Outcome("gone", "proxy")
"""Another attempt was faster, or the proxy itself failed."""
Quota = Literal[
    "model",  # that of this model
    "free_models",  # that which all models share whose id ends in `:free`
    "account",  # that of the proxy's own key or account, whatever the model
    "exhausted",  # the same, and it does not come back within minutes
]
"""What a provider's 429 says is used up."""


class Cause(Struct, frozen=True, kw_only=True):
    """What an error came of, where that is not the request alone."""

    source: Source = "proxy"
    status: int | None = None
    """In the place of the status that the class has."""
    attempts: tuple[Attempt, ...] = ()
    limit: str | None = None
    """The proxy's own limit that was hit (core.permit.Refusal)."""
    native: tuple[Wire, bytes] | None = None
    """The provider's error as it came, for a caller of that dialect; it holds no secret."""


_NO_CAUSE = Cause()


class ProxyError(Exception):
    """An error for the caller: `type` and `status` as SPEC.md lists them.

    `param` names the field at fault; `code` is a machine-readable word beside the type, in OpenAI's
    sense; `retry_after` is in seconds.
    """

    type: ClassVar[str] = "internal_error"
    status: int = 500

    def __init_subclass__(cls, status: int, type: str | None = None) -> None:
        cls.status, cls.type = status, type or cls.type

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
        cause: Cause = _NO_CAUSE,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code
        self.retry_after = retry_after
        self.source = cause.source
        self.attempts = cause.attempts
        self.limit = cause.limit
        self.native = cause.native
        if cause.status is not None:
            self.status = cause.status


class InvalidRequest(ProxyError, type="invalid_request", status=400):
    """The request is wrong; the message names the field."""


def invalid(path: str, reason: str) -> InvalidRequest:
    """The error for the field at `path`, as the caller spells it."""
    path = path[:LONGEST_SHOWN]
    return InvalidRequest(f"{path}: {reason}", param=path)


class AuthenticationFailed(ProxyError, type="authentication_failed", status=401):
    """No key, or one that is not known."""


class BudgetExceeded(ProxyError, type="budget_exceeded", status=402):
    """The key's budget is used up."""


class PermissionDenied(ProxyError, type="permission_denied", status=403):
    """The key may not do this."""


class NotFound(ProxyError, type="not_found", status=404):
    """No such path or model."""


class MethodNotAllowed(ProxyError, type="method_not_allowed", status=405):
    """The path is there, the method is not; `allow` lists those that are."""

    def __init__(self, message: str, *, allow: tuple[str, ...]) -> None:
        super().__init__(message)
        self.allow = allow


class PayloadTooLarge(ProxyError, type="payload_too_large", status=413):
    """The body is over the limit."""


class UnsupportedMediaType(ProxyError, type="unsupported_media_type", status=415):
    """The body is not JSON."""


class RateLimitExceeded(ProxyError, type="rate_limit_exceeded", status=429):
    """A limit was hit: the proxy's own or, with source `provider`, the provider's."""


class InternalError(ProxyError, type="internal_error", status=500):
    """A fault of the proxy or of its configuration."""


class Unavailable(InternalError, status=503):
    """The proxy can't serve the request now; a moment later it may."""


class ProviderError(ProxyError, type="provider_error", status=502):
    """The attempts failed."""


class NoProviderAvailable(ProxyError, type="no_provider_available", status=503):
    """No provider is configured, permitted and able."""


class ProviderTimeout(ProxyError, type="provider_timeout", status=504):
    """No provider answered in time."""


class FaultDetails(Struct, frozen=True, kw_only=True):
    """What a provider's error says beside its message."""

    status: int | None = None
    """The provider's HTTP status; None: it gave none."""
    code: str | None = None
    param: str | None = None
    retry_after: float | None = None
    """Seconds."""
    lacks: bool = False
    """Whether a bad_request says that this model lacks what the request needs: another may have
    it."""
    quota: Quota = "model"
    """What is used up, of a rate_limited one."""
    native: tuple[Wire, bytes] | None = None
    """As in Cause."""


_NO_DETAILS = FaultDetails()


class Fault(Exception):
    """Why an attempt failed. `message` may be shown to callers: it holds no key.

    `kind` is what the failure means: adapters map a provider's odd choices (Gemini's 400 for a bad
    key) to it. `source`: where the message is from. `blame`: BLAMED if not given.
    """

    def __init__(
        self,
        kind: FaultKind,
        message: str,
        *,
        details: FaultDetails = _NO_DETAILS,
        source: Source = "provider",
        blame: Blame | None = None,
    ) -> None:
        super().__init__(message)
        self.kind: FaultKind = kind
        self.message = message
        self.source: Source = source
        self.blame: Blame = blame or BLAMED[kind]
        self.status = details.status
        self.code = details.code
        self.param = details.param
        self.retry_after = details.retry_after
        self.lacks = details.lacks
        self.quota: Quota = details.quota
        self.native = details.native
        self.refuses_key = False
        """Whether its call's key is to be set aside, of which the provider has others."""

    @property
    def is_exhausted(self) -> bool:
        """Whether a quota is used up that does not come back by itself."""
        return self.quota == "exhausted" or self.code == "insufficient_quota"

    @property
    def outcome(self) -> Outcome:
        """How the attempt that it ended has ended."""
        return Outcome(self.kind, self.blame)

    @property
    def falls_over(self) -> bool:
        """Whether another provider could still answer the same request."""
        return self.kind != "bad_request" or self.lacks


def drop_frames(error: E) -> E:
    """The error without the frames that it came through. They hold the request's body, and where
    a frame holds the error too only a garbage collection frees it."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


class ClientGone(Exception):
    """The caller hung up while its answer was being written."""
