"""An RSA key that signs as Cloudflare Access does, made anew by each run of the tests: no private
key stands in a file."""

import hashlib
import json
import random
from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import cache
from typing import Any

from proxy.core.ports import RSAKey

_BITS = 2048
_E = 65537
_SHA256 = bytes.fromhex("3031300d060960864801650304020105000420")
"""How the digest of SHA-256 begins in a signature (RFC 8017, 9.2)."""


class SigningKey:
    """An RSA key of 2,048 bits."""

    def __init__(self, kid: str) -> None:
        self.kid = kid
        p, q = _find_prime(_BITS // 2), _find_prime(_BITS // 2)
        self.n = p * q
        self._p, self._q, self._inverse = p, q, pow(q, -1, p)
        self._powers = pow(_E, -1, p - 1), pow(_E, -1, q - 1)

    @property
    def jwk(self) -> dict[str, str]:
        """The public key as it is published."""
        public = {"n": encode(_to_bytes(self.n)), "e": encode(_to_bytes(_E))}
        return {"kid": self.kid, "kty": "RSA", "alg": "RS256", "use": "sig", **public}

    def sign(self, data: bytes) -> bytes:
        """The signature by RS256."""
        padded, (to_p, to_q) = int.from_bytes(pad(data)), self._powers
        m = pow(padded, to_q, self._q)  # by both primes: a third of the time (RFC 8017, 5.1.2)
        h = (pow(padded, to_p, self._p) - m) * self._inverse % self._p
        return (m + h * self._q).to_bytes(_BITS // 8)

    def issue(self, claims: dict[str, Any], **head: Any) -> str:
        """A token."""
        head = {"alg": "RS256", "kid": self.kid, "typ": "JWT"} | head
        signed = ".".join(encode(json.dumps(part).encode()) for part in (head, claims))
        return f"{signed}.{encode(self.sign(signed.encode()))}"


@cache
def signing_key(kid: str = "key-1") -> SigningKey:
    """The key of a name, which takes a second to make."""
    return SigningKey(kid)


def encode(data: bytes) -> str:
    """Base64url without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def pad(data: bytes) -> bytes:
    """What is signed of a text (RFC 8017, 9.2: EMSA-PKCS1-v1_5)."""
    end = _SHA256 + hashlib.sha256(data).digest()
    return b"\x00\x01" + b"\xff" * (_BITS // 8 - len(end) - 3) + b"\x00" + end


async def verify(key: RSAKey, signed: bytes, signature: bytes) -> bool:
    """core.ports.VerifyRS256, as RFC 8017, 8.2.2 has it."""
    n, e = (int.from_bytes(urlsafe_b64decode(part + "==")) for part in (key.n, key.e))
    number = int.from_bytes(signature)
    return number < n and pow(number, e, n).to_bytes(_BITS // 8) == pad(signed)


def _to_bytes(number: int) -> bytes:
    return number.to_bytes(-(-number.bit_length() // 8))


def _find_prime(bits: int) -> int:
    numbers = random.SystemRandom()
    while True:
        found = numbers.getrandbits(bits) | (3 << (bits - 2)) | 1
        if found % _E != 1 and _is_prime(found):
            return found


def _is_prime(number: int) -> bool:
    """By trial division, and Miller and Rabin's test of 24 bases."""
    if any(number % small == 0 for small in range(3, 2000, 2)):
        return False
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for _ in range(24):
        power = pow(random.randrange(2, number - 1), odd, number)
        if power in (1, number - 1):
            continue
        for _ in range(twos - 1):
            power = power * power % number
            if power == number - 1:
                break
        else:
            return False
    return True
