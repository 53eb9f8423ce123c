"""Who is calling, and what that caller may do and spend."""

from msgspec import Struct

OTHER = "(other)"
"""The user, or the model, that stands for many in the figures."""


class Limits(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """The limits of a key. None: the deployment's default holds, or there is no limit."""

    per_hour: int | None = None
    """Requests an hour at each provider (the refill of its token bucket)."""
    burst: int | None = None
    """Requests at once at each provider (the bucket's capacity)."""
    requests_per_minute: int | None = None
    """Requests of any kind, those that the cache answers too."""
    tokens_per_minute: int | None = None
    """Input and output tokens at all providers together."""


class Budget(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a key may cost, in whole nano-dollars, by day and month of UTC."""

    day: int | None = None
    month: int | None = None


class ModelGrant(Struct, frozen=True, kw_only=True):
    """The providers and models that a key may use; empty: all.

    A model is written `provider/model`, `model` or a pattern of either with `*`.
    """

    providers: tuple[str, ...] = ()
    models: tuple[str, ...] = ()


class Principal(Struct, frozen=True, kw_only=True):
    """The caller: the user that limits and accounts go by, and what it may."""

    user: str
    admin: bool = False
    key_id: str | None = None
    """The issued key's id; None: the caller has one of the deployment's own two keys, or none."""
    grant: ModelGrant = ModelGrant()
    limits: Limits = Limits()
    budget: Budget = Budget()
    cache_scope: str | None = None
    """`tenant` or `shared`; None: the deployment's."""
    passthrough: bool = True
    """Whether it may have requests passed on to a provider as they are."""
