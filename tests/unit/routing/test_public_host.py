"""Which hosts count as public."""

import pytest

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
