"""Names the caller that Cloudflare Access has signed in: an e-mail, whose role a setting gives.

The platform's own word for it (`ctx.access`) comes first; else the token that Access sends with
each request is verified. No header is believed without that.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from proxy.access.certs import Certs
from proxy.access.tokens import HEADER, TokenReader
from proxy.core.errors import AuthenticationFailed, PermissionDenied, Unavailable
from proxy.core.ports import Ports
from proxy.core.principal import Principal, Role
from proxy.core.settings import AccessSettings
from proxy.core.web import ReadIdentity

# An e-mail holds an @, so it is never one of the users that the proxy itself names, and no
# colon, so it is no group either.
_EMAIL = re.compile(r"[!-9;-?A-~]{1,160}@[A-Za-z0-9.-]{1,90}")
GROUP = "group:"


class _Identity(Struct):
    """What Access knows of a user, as far as it is read."""

    email: str | None = None
    groups: Any = None


_IDENTITY = msgspec.json.Decoder(_Identity)


class SignIn:
    """Lets in the users that Access has signed in."""

    def __init__(self, settings: AccessSettings, ports: Ports) -> None:
        self._roles = settings.roles
        self._auds = settings.auds
        self._log = ports.log
        self._tokens: TokenReader | None = None
        if settings.team:
            certs = Certs(settings.team, ports.upstream, ports.clock, ports.log)
            self._tokens = TokenReader(
                settings.team, settings.auds, certs, ports.verify_rs256, ports.clock
            )

    async def find(
        self, headers: Mapping[str, str], read_identity: ReadIdentity
    ) -> Principal | None:
        """The caller, None where Access has signed nobody in. Raises AuthenticationFailed,
        PermissionDenied for one without a role, and InternalError (503) where Access can't be
        asked."""
        found = await self._find_by_platform(read_identity)
        if found is None and self._tokens and (token := headers.get(HEADER)):
            claims = await self._tokens.read(token)
            groups = claims.groups or (claims.custom and claims.custom.groups)
            found = _Identity(claims.email, groups)
        if found is None or not found.email:  # a service token is nobody's
            return None
        return self._make_principal(found.email, list_groups(found.groups))

    async def _find_by_platform(self, read_identity: ReadIdentity) -> _Identity | None:
        try:
            signed_in = await read_identity()
            identity = _IDENTITY.decode(signed_in.identity) if signed_in else None
        except Exception as error:
            self._log("error", "access unreachable", error=repr(error)[:500])
            if self._tokens:
                return None
            raise Unavailable(
                "Cloudflare Access can't be asked who this is. Try again.",
                code="access_unreachable",
                retry_after=1,
            ) from None
        if signed_in and self._auds and signed_in.aud not in self._auds:
            raise AuthenticationFailed(
                "Cloudflare Access has signed in for another application than ACCESS_AUD.",
                code="invalid_access_token",
            )
        return identity

    def _make_principal(self, email: str, groups: Iterable[str]) -> Principal:
        # Checked first: some letters are ASCII only once they are in lower case (the Kelvin sign).
        name = email.lower() if _EMAIL.fullmatch(email) else None
        role = self._find_role(name, groups) if name else None
        if name is None or role is None:
            raise PermissionDenied(
                f"Cloudflare Access has signed in {email[:256]!r}, to whom ACCESS_ROLES gives no"
                " role.",
                code="no_role",
            )
        return Principal(user=name, role=role, via="access")

    def _find_role(self, email: str, groups: Iterable[str]) -> Role | None:
        """The role that is given to the e-mail itself, else to one of its groups (the setting's
        first), else to its domain."""
        names = {f"{GROUP}{group}" for group in groups}
        of_group = next((role for name, role in self._roles.items() if name in names), None)
        domain = "@" + email.rpartition("@")[2]
        return self._roles.get(email) or of_group or self._roles.get(domain)


def list_groups(given: Any) -> list[str]:
    """The names and ids of groups, however an identity provider writes them."""
    names = list[str]()
    for group in given if isinstance(given, list) else ():
        values = (group.get("name"), group.get("id")) if isinstance(group, dict) else (group,)
        names += [value for value in values if isinstance(value, str)]
    return names
