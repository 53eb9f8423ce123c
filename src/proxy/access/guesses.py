"""Counts wrong keys by address. Held by the object of the keys.

Promise: an address has at most BURST wrong keys at once looked up, and PER_MINUTE a minute on and
on. At most ADDRESSES are remembered; the one that was longest silent is forgotten first.
"""

import ipaddress
from collections import OrderedDict

BURST = 30
PER_MINUTE = 10
ADDRESSES = 10_000

_SHARE = 60_000 // PER_MINUTE


class Guesses:
    """Moments are whole milliseconds."""

    def __init__(self) -> None:
        # For each address: when all its guesses will be forgiven. A guess adds its share.
        self._forgiven: OrderedDict[str, int] = OrderedDict()

    def blocked(self, address: str, now: int) -> int:
        """Milliseconds until a wrong key of this address may be looked up again; 0: now."""
        return max(0, self._owed(network(address), now) - (BURST - 1) * _SHARE)

    def wrong(self, address: str, now: int) -> None:
        """Takes note of a wrong key."""
        where = network(address)
        owed = self._owed(where, now)
        self._forgiven[where] = now + min(owed + _SHARE, BURST * _SHARE)
        self._forgiven.move_to_end(where)
        if len(self._forgiven) > ADDRESSES:
            self._forgiven.popitem(last=False)

    def _owed(self, where: str, now: int) -> int:
        """Milliseconds until all is forgiven; a clock that steps back adds little."""
        return min(max(0, self._forgiven.get(where, now) - now), BURST * _SHARE)


def network(address: str) -> str:
    """What counts as one address: of IPv6 the /64, which one subscriber has to himself."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    if parsed.version == 4:
        return str(parsed)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
