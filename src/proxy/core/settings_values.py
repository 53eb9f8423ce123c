"""How the text of a setting becomes a value: each reader raises ValueError, which says what the
value must be and holds no secret."""

import re
from collections.abc import Callable
from typing import Any, get_args
from urllib.parse import unquote, urlsplit

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def one_of(kind: Any) -> Callable[[str], str]:
    """One of a Literal's words."""

    def read(text: str) -> str:
        if text not in get_args(kind):
            raise ValueError(f"must be one of {', '.join(get_args(kind))}")
        return text

    return read


def whole(low: int, high: int) -> Callable[[str], int]:
    """A whole number of [low, high]."""

    def read(text: str) -> int:
        if not re.fullmatch(r"\d{1,12}", text) or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(text)

    return read


def switch(text: str) -> bool:
    """`on` or `off`."""
    if text not in ("on", "off"):
        raise ValueError("must be on or off")
    return text == "on"


def flag(text: str) -> bool:
    """`1` or `0`."""
    if text not in ("0", "1"):
        raise ValueError("must be 0 or 1")
    return text == "1"


def secret(text: str) -> str | None:
    """A key; None where there is none."""
    # A key goes into a header: what is no visible ASCII would break or split it.
    if text and not re.fullmatch(r"[!-~]+", text):
        raise ValueError("must be visible ASCII characters without spaces")
    return text or None


def words(text: str) -> tuple[str, ...]:
    """What stands between commas."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def shares(text: str) -> dict[str, float]:
    """Percentages by `provider` or `provider/model`; of any sum, as they are normalised."""
    told: dict[str, float] = {}
    for word in words(text):
        name, _, share = (part.strip() for part in word.partition("="))
        number = re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,6})?", share)
        if not re.fullmatch(r"[!-~]+", name) or not number:
            raise ValueError(f"{word!r} is no share such as groq=10 or openai/gpt-4o=2.5")
        if float(share) > 100:
            raise ValueError(f"{word!r} must be a percentage from 0 to 100")
        if name in told:
            raise ValueError(f"names {name!r} twice")
        told[name] = float(share)
    if told and not any(told.values()):
        raise ValueError("must give somebody more than 0")
    return told


def balance(text: str) -> dict[str, float]:
    """The weights of cost, latency and success."""
    told = shares(text)
    if not told or told.keys() - {"cost", "latency", "success"}:
        raise ValueError("must weigh cost, latency and success, such as cost=2, latency=1")
    return told


def origins(text: str) -> tuple[str, ...]:
    """Origins of web pages (RFC 6454), or `*`."""
    for origin in words(text):
        parts = urlsplit(origin)
        if origin != "*" and (
            parts.scheme not in ("http", "https") or origin != f"{parts.scheme}://{parts.netloc}"
        ):
            raise ValueError(f"{origin!r} is no origin (such as https://app.example.com) and not *")
    return words(text)


def headers(text: str) -> dict[str, str]:
    """Headers as OpenTelemetry writes them: `name=value,name=value`, values percent-encoded."""
    told: dict[str, str] = {}
    for number, word in enumerate(words(text), 1):
        name, equals, value = (part.strip() for part in word.partition("="))
        value = unquote(value)
        if not (equals and re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name)):
            raise ValueError(f"must be name=value between commas; number {number} is not")
        if not re.fullmatch(r"[!-~]([ -~]*[!-~])?", value):
            raise ValueError(
                f"must have values of visible ASCII characters; number {number} is not"
            )
        told[name.lower()] = value
    return told


def collector(text: str) -> str | None:
    """A collector's base URL without its last slash; None where there is none."""
    if text:
        check_url(text, local=True)
    return text.rstrip("/") or None


def check_url(text: str, local: bool) -> None:
    """Refuses what is no base URL. local: http to this machine will do too."""
    parts = urlsplit(text)
    if not parts.hostname or not re.fullmatch(r"[!-~]+", text):
        raise ValueError("must be a URL such as https://host/v1")
    if parts.query or parts.fragment or parts.username:
        raise ValueError("must be a URL without user, query and fragment")
    plain = parts.scheme == "http" and local and parts.hostname in LOOPBACK
    if parts.scheme != "https" and not plain:
        raise ValueError("must begin with https:// (http:// only to loopback, in development)")
