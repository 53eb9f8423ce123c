"""Base64 for addresses, without the signs that fill up its end (RFC 4648, 5), as tokens and cursors
have it."""

from base64 import b64decode, urlsafe_b64encode


def encode(data: bytes) -> str:
    """Bytes as a text."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """The bytes of a text. Raises ValueError for what is none of this form."""
    return b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
