"""Who is calling, and what that caller may do and spend."""

from typing import Literal

from msgspec import Struct

Role = Literal["admin", "viewer", "user"]
"""An admin may do all; a viewer reads what an admin reads, changes nothing and spends nothing; a
user spends, and sees its own figures."""
Via = Literal["open", "admin_token", "proxy_key", "metrics_token", "key", "access"]
"""By what a caller was let in: a deployment that is open, one of its own keys, an issued key, or
Cloudflare Access."""

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

    A model is written `provider/model`, `model` or a pattern of either with `*`, `?` or `[abc]`.
    """

    providers: tuple[str, ...] = ()
    models: tuple[str, ...] = ()


class Principal(Struct, frozen=True, kw_only=True):
    """The caller: the user that limits and accounts go by, and what it may."""

    user: str
    role: Role = "user"
    via: Via = "key"
    key_id: str | None = None
    """The issued key's id; None: the caller has one of the deployment's own keys, or none."""
    key_name: str | None = None
    team: str | None = None
    tags: tuple[str, ...] = ()
    """Those of its key."""
    grant: ModelGrant = ModelGrant()
    limits: Limits = Limits()
    budget: Budget = Budget()
    cache_scope: str | None = None
    """`tenant` or `shared`; None: the deployment's."""
    passthrough: bool | None = None
    """Whether it may have requests passed on to a provider as they are; None: where nothing that
    pays for them has a budget."""

    @property
    def admin(self) -> bool:
        """Whether it may change the deployment."""
        return self.role == "admin"

    @property
    def sees_all(self) -> bool:
        """Whether it may read everybody's figures, and what operators read."""
        return self.role != "user"
