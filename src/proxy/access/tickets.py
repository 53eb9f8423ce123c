"""Tickets: they let a caller go on with one upload for an hour, without its key.

Google's SDK sends the bytes of a file to the address that the answer before has named, and no key
with them: at Google the address itself is the secret.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256

from proxy.core.principal import Principal

LIFETIME = 3600
"""Seconds."""


class Tickets:
    """Writes and reads the tickets of a deployment. secret: the same in all isolates."""

    def __init__(self, secret: str) -> None:
        self._secret = sha256(f"upload ticket {secret}".encode()).digest()

    def issue(self, principal: Principal, upload: str, now: float) -> str:
        """A ticket for a caller to go on with an upload."""
        user = urlsafe_b64encode(principal.user.encode(errors="surrogatepass")).decode()
        claim = f"{int(now) + LIFETIME}.{principal.key_id or ''}.{user}"
        return f"{claim}.{self._sign(claim, upload)}"

    def read(self, ticket: str, upload: str, now: float) -> Principal | None:
        """The caller of a ticket; None for one that is over, or no ticket for this upload."""
        claim, _, signature = ticket.rpartition(".")
        if not hmac.compare_digest(self._sign(claim, upload).encode(), signature.encode()):
            return None
        until, key_id, user = claim.split(".")
        if now >= int(until):
            return None
        name = urlsafe_b64decode(user).decode(errors="surrogatepass")
        return Principal(user=name, key_id=key_id or None)

    def _sign(self, claim: str, upload: str) -> str:
        text = f"{claim}\n{upload}".encode(errors="surrogatepass")
        return hmac.new(self._secret, text, sha256).hexdigest()
