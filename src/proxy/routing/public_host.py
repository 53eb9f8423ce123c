"""Tells public hosts from those of a network's own, by the host alone."""

import ipaddress

_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_TUNNELS = (ipaddress.IPv6Network("2002::/16"), ipaddress.IPv6Network("2001::/23"))
"""6to4 and Teredo with what is reserved around it: an IPv4 address may stand in them."""
_SPECIAL = tuple(map(ipaddress.IPv4Network, ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32")))
"""Protocols' own (metadata at 192.0.0.192 in Oracle's cloud), 6to4's relays, and Azure's platform:
not global to every release of Python, or to none."""
_LOCAL_NAMES = (
    ".localhost", ".localdomain", ".local", ".internal", ".intranet", ".private", ".lan", ".home",
    ".corp", ".home.arpa",
)  # fmt: skip


def is_public(host: str) -> bool:
    """Whether a host, as the platform normalises it (URL.host), is a public address or a name
    that can stand for one."""
    name = host.rstrip(".").lower()
    if name.startswith("["):
        return _is_public_v6(name.strip("[]"))
    try:
        address = ipaddress.IPv4Address(name)
    except ValueError:
        last = name.rpartition(".")[2]
        is_number = last[:1].isdigit()  # the platform would have made an address of it
        return "." in name and not is_number and not f".{name}".endswith(_LOCAL_NAMES)
    reserved = address.is_multicast or address.is_reserved
    return address.is_global and not reserved and not any(address in net for net in _SPECIAL)


def _is_public_v6(text: str) -> bool:
    """Global unicast alone: all that stands for an IPv4 address (`::ffff:`, `64:ff9b::`) or for
    a network's own lies outside or in `_TUNNELS`."""
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        return False
    tunnel = any(address in network for network in _TUNNELS)
    return address in _GLOBAL_UNICAST and address.is_global and not tunnel
