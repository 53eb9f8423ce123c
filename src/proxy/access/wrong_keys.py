"""Counts the wrong keys of each address. Held by the object of the keys.

Promise: of one address, BURST wrong keys at once and PER_MINUTE a minute on and on are looked up at
the most. ADDRESSES addresses are remembered; the one that was longest silent is forgotten first.
"""

import ipaddress
from collections import OrderedDict

BURST = 30
PER_MINUTE = 10
ADDRESSES = 10_000

_SHARE_MS = 60_000 // PER_MINUTE
"""For how long one wrong key counts."""


class WrongKeys:
    """Moments are whole milliseconds."""

    def __init__(self) -> None:
        self._free_at: OrderedDict[str, int] = OrderedDict()
        """When nothing counts any more, by network."""

    def blocked_ms(self, address: str, now: int) -> int:
        """Milliseconds until a wrong key of this address may be looked up again; 0: now."""
        return max(0, self._count_ms(find_network(address), now) - (BURST - 1) * _SHARE_MS)

    def record(self, address: str, now: int) -> None:
        """Counts a wrong key."""
        network = find_network(address)
        counted = self._count_ms(network, now)
        self._free_at[network] = now + min(counted + _SHARE_MS, BURST * _SHARE_MS)
        self._free_at.move_to_end(network)
        if len(self._free_at) > ADDRESSES:
            self._free_at.popitem(last=False)

    def _count_ms(self, network: str, now: int) -> int:
        """Milliseconds until nothing counts any more; a clock that steps back adds little."""
        return min(max(0, self._free_at.get(network, now) - now), BURST * _SHARE_MS)


def find_network(address: str) -> str:
    """What counts as one address: of IPv6 the /64, which one subscriber has alone."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    if parsed.version == 4:
        return str(parsed)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
