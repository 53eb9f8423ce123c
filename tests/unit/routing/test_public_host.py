"""Which hosts count as public."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.routing.public_host import is_public


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.8.9.1",
        "0.0.0.0",
        "10.0.0.8",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "100.100.100.200",
        "169.254.169.254",
        "168.63.129.16",
        "192.0.0.192",
        "192.88.99.1",
        "198.18.0.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "127.0.0.1.",
        "[::]",
        "[::1]",
        "[::7f00:1]",
        "[::ffff:7f00:1]",
        "[::ffff:808:808]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::7f00:1]",
        "[2001:0:7f00:1::1]",
        "[2001:db8::1]",
        "[2002:7f00:1::]",
        "[fc00::1]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[fec0::1]",
        "[ff02::1]",
        "[no]",
        "localhost",
        "localhost.",
        "LOCALHOST",
        "a.localhost",
        "a.localhost.",
        "metadata",
        "printer.local",
        "printer.local.",
        "metadata.google.internal",
        "router.home.arpa",
        "nas.lan",
        "2130706433",
        "127.1",
        "0x7f.0.0.1",
        "a.0x7f000001",
        "",
        ".",
    ],
)
def test_what_is_not_public(host: str) -> None:
    assert not is_public(host)


@pytest.mark.parametrize(
    "host", ["a.test", "a.test.", "8.8.8.8", "xn--bcher-kva.de", "[2606:4700::1111]", "local.de"]
)
def test_what_is_public(host: str) -> None:
    assert is_public(host)


INNER = tuple(
    map(
        ipaddress.IPv4Network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
            *("172.16.0.0/12", "192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/3"),
        ),
    )
)
"""What is nobody's on the internet (IANA's registry of special addresses)."""
INNER_ADDRESSES = st.sampled_from(INNER).flatmap(
    lambda net: st.integers(int(net[0]), int(net[-1])).map(ipaddress.IPv4Address)
)
HOLDERS = {
    "mapped": lambda address: (0xFFFF << 32) | address,
    "translated": lambda address: (0xFFFF << 48) | address,
    "compatible": lambda address: address,
    "NAT64": lambda address: (0x64FF9B << 96) | address,
    "NAT64 of a network's own": lambda address: (0x64FF9B0001 << 80) | address,
    "6to4": lambda address: (0x2002 << 112) | (address << 80) | 1,
    "Teredo's server": lambda address: (0x20010000 << 96) | (address << 64) | 1,
    "Teredo's client": lambda address: (0x20010000 << 96) | (address ^ 0xFFFFFFFF),
}
"""The addresses of IPv6 in which one of IPv4 stands."""


@given(INNER_ADDRESSES)
def test_no_inner_address_is_public(address: ipaddress.IPv4Address) -> None:
    assert not is_public(str(address))
    assert not is_public(f"{address}.")


@pytest.mark.parametrize("holder", HOLDERS)
@given(st.integers(0, 2**32 - 1))
def test_no_address_that_stands_in_another_is_public(holder: str, address: int) -> None:
    held = ipaddress.IPv6Address(HOLDERS[holder](address))
    assert not is_public(f"[{held.compressed}]")
    assert not is_public(f"[{held.exploded.upper()}]")


@given(st.integers(0, 2**128 - 1))
def test_of_ipv6_only_global_unicast_is_public(address: int) -> None:
    told = ipaddress.IPv6Address(address)
    assert not is_public(f"[{told}]") or told in ipaddress.IPv6Network("2000::/3")
