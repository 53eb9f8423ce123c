"""How the text of a setting becomes a value. Each reader raises ValueError, which says what the
value must be and holds no secret."""

import re
from collections.abc import Callable
from datetime import date
from functools import cache
from typing import NamedTuple, get_args, get_type_hints
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from proxy.core.chat import TIERS
from proxy.core.own_patterns import Kind, read_own_patterns
from proxy.core.principal import Role

LOOPBACK = ("127.0.0.1", "localhost", "::1")
LONGEST_NAME = 32
"""Characters of the name of a server of one's own."""
_TAKEN = ("custom", "dynamic", "key", "alias")
"""What stands before an alias where another gateway's models come from; and before what a bucket is
of, where that is at no provider (limits.limiter)."""
HTTPS_ONLY = "must begin with https:// (http:// only to loopback, in development)"


class Reader(NamedTuple):
    """Reads the text of a setting."""

    read: Callable[[str], object]
    values: str = ""
    """What may be set, for the documents."""


class Setting(NamedTuple):
    """A variable of the Worker: annotates a field, and its meaning as text follows it."""

    name: str
    default: str
    """As an operator would write it."""
    reader: Reader
    example: str = ""
    """What .env.example shows where there is no default."""


@cache
def list_settings(section: type[Struct]) -> dict[str, tuple[Setting, str]]:
    """The settings of a section by their fields, each with what it means: Markdown, of which the
    first sentence stands in .env.example too."""
    return {
        field: hint.__metadata__
        for field, hint in get_type_hints(section, include_extras=True).items()
        if isinstance(getattr(hint, "__metadata__", (None,))[0], Setting)
    }


def one_of(kind: object) -> Reader:
    """One of a Literal's words."""
    choices = get_args(kind)

    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return text

    return Reader(read, ", ".join(f"`{choice}`" for choice in choices))


def whole(low: int, high: int) -> Reader:
    """A whole number of [low, high]."""

    def read(text: str) -> int:
        if not re.fullmatch(r"\d{1,12}", text) or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(text)

    return Reader(read, f"{low} to {high}")


def optional(reader: Reader) -> Reader:
    """The same, or None where nothing is set."""
    return Reader(lambda text: reader.read(text) if text else None, reader.values)


def _switch(text: str) -> bool:
    if text not in ("on", "off"):
        raise ValueError("must be on or off")
    return text == "on"


def _secret(text: str) -> str | None:
    # A key goes into a header: what is no visible ASCII would break or split it.
    if text and not re.fullmatch(r"[!-~]+", text):
        raise ValueError("must be visible ASCII characters without spaces")
    return text or None


def read_secrets(text: str) -> tuple[str, ...]:
    """Keys between commas; none where there is no text."""
    keys = [part.strip() for part in text.split(",")] if text else []
    if not all(keys):
        raise ValueError("must be keys between commas; one of them is empty")
    return tuple(key for key in map(_secret, keys) if key)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _servers(text: str) -> tuple[str, ...]:
    """Names of providers, of which each becomes the beginning of settings."""
    names = _words(text)
    for name in names:
        if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name) or len(name) > LONGEST_NAME:
            raise ValueError(
                f"{name!r} must be lower-case letters and digits, with single hyphens between them,"
                f" {LONGEST_NAME} at most"
            )
        if name in (*TIERS, *_TAKEN):
            raise ValueError(
                f"names {name!r}, which means something else in a model's name or a limit's"
            )
        if names.count(name) > 1:
            raise ValueError(f"names {name!r} twice")
    return names


def _shares(text: str) -> dict[str, float]:
    """Percentages by `provider` or `provider/model`; of any sum, as they are normalised."""
    shares: dict[str, float] = {}
    for word in _words(text):
        name, _, share = (part.strip() for part in word.partition("="))
        number = re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,6})?", share)
        if not re.fullmatch(r"[!-~]+", name) or not number:
            raise ValueError(f"{word!r} is no share such as groq=10 or openai/gpt-4o=2.5")
        if float(share) > 100:
            raise ValueError(f"{word!r} must be a percentage from 0 to 100")
        if name in shares:
            raise ValueError(f"names {name!r} twice")
        shares[name] = float(share)
    if shares and not any(shares.values()):
        raise ValueError("must give somebody more than 0")
    return shares


def _balance(text: str) -> dict[str, float]:
    weights = _shares(text)
    if not weights or weights.keys() - {"cost", "latency", "success"}:
        raise ValueError("must weigh cost, latency and success, such as cost=2, latency=1")
    return weights


def _day(text: str) -> date | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text) if re.fullmatch(r"2\d{3}-\d\d-\d\d", text) else None
    except ValueError:  # of a month with fewer days
        day = None
    if day is None:
        raise ValueError("must be a day such as 2026-12-31")
    return day


def _origins(text: str) -> tuple[str, ...]:
    """Origins of web pages (RFC 6454), or `*`."""
    for origin in _words(text):
        parts = urlsplit(origin)
        if origin != "*" and (
            parts.scheme not in ("http", "https") or origin != f"{parts.scheme}://{parts.netloc}"
        ):
            raise ValueError(f"{origin!r} is no origin (such as https://app.example.com) and not *")
    return _words(text)


def _headers(text: str) -> dict[str, str]:
    """Headers as OpenTelemetry writes them: `name=value,name=value`, values percent-encoded."""
    headers: dict[str, str] = {}
    for number, word in enumerate(_words(text), 1):
        name, equals, value = (part.strip() for part in word.partition("="))
        value = unquote(value)
        if not (equals and re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name)):
            raise ValueError(f"must be name=value between commas; number {number} is not")
        if not re.fullmatch(r"[!-~]([ -~]*[!-~])?", value):
            raise ValueError(
                f"must have values of visible ASCII characters; number {number} is not"
            )
        headers[name.lower()] = value
    return headers


def _base_url(text: str) -> str | None:
    """Without its last slash. http will do to this machine only."""
    if not text:
        return None
    parts = urlsplit(text)
    if not parts.hostname or not re.fullmatch(r"[!-~]+", text):
        raise ValueError("must be a URL such as https://host/v1")
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("must be a URL without user, query and fragment")
    is_local = parts.scheme == "http" and parts.hostname in LOOPBACK
    if parts.scheme != "https" and not is_local:
        raise ValueError(HTTPS_ONLY)
    return text.rstrip("/")


def _team(text: str) -> str | None:
    """The URL of a team of Cloudflare Access, which may be given as its domain alone."""
    if text and "://" not in text:
        text = f"https://{text}"
    url = _base_url(text)
    if url and urlsplit(url).path:
        raise ValueError("must be a domain such as example.cloudflareaccess.com")
    return url


def _access_roles(text: str) -> dict[str, Role]:
    """Roles by an e-mail, `@domain` or `group:name`, in their order."""
    roles: dict[str, Role] = {}
    for word in _words(text):
        name, _, given = (part.strip() for part in word.rpartition("="))
        name = name if name.startswith("group:") else name.lower()
        role = next((role for role in get_args(Role) if role == given), None)
        if role is None:
            raise ValueError(f"{word!r} must end in one of =admin, =viewer and =user")
        if not re.fullmatch(r"group:.+|[!-?A-~]*@[a-z0-9-]+(\.[a-z0-9-]+)+", name):
            raise ValueError(
                f"{word!r} must begin with an e-mail, @ and a domain, or group: and a name"
            )
        if name in roles:
            raise ValueError(f"names {name!r} twice")
        roles[name] = role
    return roles


def some_of(kind: object) -> Reader:
    """Some of a Literal's words, between commas."""
    choices = get_args(kind)

    def read(text: str) -> tuple[str, ...]:
        words = _words(text)
        if not words or set(words) - set(choices):
            raise ValueError(f"must be some of {', '.join(choices)}, between commas")
        return words

    return Reader(read, ", ".join(f"`{choice}`" for choice in choices))


_TAKEN_KINDS = frozenset(kind.upper() for kind in get_args(Kind))

SWITCH = Reader(_switch, "`on`, `off`")
OWN_PATTERNS = Reader(lambda text: read_own_patterns(text, _TAKEN_KINDS))
TEXT = Reader(str)
SECRET = Reader(_secret)
SECRETS = Reader(read_secrets)
WORDS = Reader(_words)
SERVERS = Reader(_servers)
SHARES = Reader(_shares)
BALANCE = Reader(_balance)
DAY = Reader(_day)
ORIGINS = Reader(_origins)
HEADERS = Reader(_headers)
BASE_URL = Reader(_base_url)
TEAM = Reader(_team)
ACCESS_ROLES = Reader(_access_roles)
