"""What is looked for in a text, and where it stands there.

Promise: the work grows with the text's length alone. No expression repeats what repeats, and what
repeats without a bound gives nothing back (`++`) or is tried once at the beginning of a word. An
expression begins with a sign that few places have, and looks back from there; and most texts are
known by less than that to hold nothing: by the runs of digits or of letters that they lack.

A text is looked at a piece at a time, so that others have a turn between: what begins in a piece
is found there, wherever it ends.
"""

import re
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import TypeAlias

Spans: TypeAlias = Iterator[tuple[int, int]]
Finder: TypeAlias = Callable[[str, int, int], Spans]
"""Finds what begins in a piece of a text, from one place up to another."""

BEYOND = 16 * 1024
"""Characters behind a piece that are looked at with it: an own pattern may match 10,000, and a JSON
Web Token whose first part is longer is not found."""
_LOCAL = 64
"""Characters before the @ (RFC 5321, 4.5.3.1.1)."""
BEFORE_AT = re.compile(r"[\w.+~'-]++")
_DOMAIN = r"(?:[^\W_][\w-]{0,62}+\.){1,8}[^\W\d_][\w-]{0,61}[^\W_]"
AT = re.compile(rf"@(?<=[\w.+~'-]@){_DOMAIN}")
CODED_AT = re.compile(rf"%40(?<=[\w.+~'-]%40){_DOMAIN}")
_GAP = r"[ \u00a0\u2007\u2009\u202f\u2010\u2011-]?"
"""Between groups of digits: spaces and dashes, also those at which no line breaks."""
_RUN = 1000
"""Digits that are looked at together: of a body of nothing else a list would be all the memory."""
DIGITS = re.compile(rf"\d(?<!\d\d)(?<!\d\.\d)(?:{_GAP}\d){{12,{_RUN - 1}}}+")
GAP = re.compile(_GAP[:-1])
IBAN = re.compile(
    rf"\d\d(?<=(?<![A-Za-z0-9])([A-Za-z]{{2}})\d\d)(?=((?:{_GAP}[A-Za-z0-9]){{11,30}}+))"
)
KEY = re.compile(
    r"(?<![A-Za-z0-9])(?=[AGafghknprstwxy])(?:"
    r"(?:sk-|xai-|pplx-|nvapi-|(?:aep|gsk|hf|fw|r8|tgp)_)(?=[A-Za-z_-]{0,120}\d)[\w-]{16,}+"
    r"|AIza[\w-]{30,}+|ya29\.[\w-]{20,}+|GOCSPX-[\w-]{20,}+"  # Google
    r"|(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])"  # AWS
    r"|gh[pousr]_[A-Za-z0-9]{20,}+|github_pat_\w{20,}+|glpat-[\w-]{16,}+"  # GitHub, GitLab
    r"|xox[abeoprs]-[\w-]{10,}+|xapp-[\w-]{10,}+"  # Slack
    r"|(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{10,}+|whsec_[\w+/=-]{16,}+"  # Stripe
    r")"
)
AWS_SECRET = re.compile(
    r"(?i:aws_?secret_?(?:access_?)?key|secretaccesskey)[\"']?\s{0,4}[:=]\s{0,4}[\"']?"
    r"([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+])"
)
JWT = re.compile(r"(?<![\w-])eyJ[\w-]{8,}+\.[\w-]{8,}+(?:\.[\w-]++){0,3}")
PRIVATE_KEY = re.compile(
    r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:\s{0,8}[A-Z][A-Za-z-]{2,20}: [^\n]{0,200}){0,8}"
    r"(?:\s{0,8}[A-Za-z0-9+/=]{12,}+)*+"
    r"(?:\s{0,8}[A-Za-z0-9+/=]{1,11}+(?=\s{0,8}-----END|\s{0,8}\Z))?"
    r"(?:\s{0,8}-----END [A-Z0-9 ]{1,60}-----)?"
)

_REGISTRY = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27"
    " DK18 DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28"
    " IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22"
    " MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24"
    " SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30"
)
_LENGTHS = {found[:2]: int(found[2:]) for found in _REGISTRY.split()}
"""Characters of an IBAN by its country (ISO 13616, SWIFT's registry)."""
_CARD = range(13, 20)
"""Digits of a card's number (ISO/IEC 7812)."""
_SIZES = tuple(reversed(_CARD))


_VALUES = {sign: str(int(sign, 36)) for sign in "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
_CLASSES = bytes(
    0x30 if 0x30 <= sign <= 0x39 or sign == 0x3F else 0x61 if bytes([sign]).isalpha() else 0x20
    for sign in range(256)
)
"""A 0 for each digit, an a for each letter. Of a sign beyond ASCII nothing is known, a `?`: it
counts as a digit, and a dash or a space of its own between digits as one as well."""
_WORDS = bytes(0x61 if sign != 0x20 or s in b"_.+/=-" else 0x20 for s, sign in enumerate(_CLASSES))
_GAPS = b" -"
_SHORTEST_CARD = b"0" * 13
_SHORTEST_KEY = b"a" * 15
_LOOK = 64
"""Characters behind a piece that say whether something begins in it."""
_DOUBLED = bytes(2 * digit - 9 * (digit > 4) if digit < 10 else 0 for digit in range(256))
"""What a digit counts for in Luhn's sum at every second place."""
_TO_NUMBERS = bytes(max(sign - 0x30, 0) for sign in range(256))


def find_emails(text: str, start: int, end: int) -> Spans:
    """E-mail addresses, by their @, also as %40."""
    for sign, pattern in (("@", AT), ("%40", CODED_AT)):
        if text.find(sign, start, end + len(sign) - 1) < 0:
            continue
        for found in _match_all(pattern, text, start, end):
            at = found.start()
            before = BEFORE_AT.match(text[max(0, at - _LOCAL) : at][::-1])
            local = before[0][::-1].lstrip(".'") if before else ""
            if local:
                yield at - len(local), found.end()


def find_cards(text: str, start: int, end: int) -> Spans:
    """Numbers of payment cards: 13 to 19 digits that Luhn's sum is right for, in groups between
    which there may be a space or a dash. They begin with 2 to 6, as those of the networks do."""
    if _SHORTEST_CARD not in _classify(text, start, end).translate(_CLASSES, _GAPS):
        return
    at = start
    while at < end and (run := DIGITS.search(text, at, end + BEYOND)) and run.start() < end:
        groups = GAP.split(run[0])
        # Beyond those looked at may be more: a card that begins in the last of them is looked for
        # with what follows.
        size = len(run[0]) - len(groups) + 1
        at = run.end() if size < _RUN else _find_digit(run, groups, size - max(_CARD))
        for first, last in _find_cards_at(run.start(), groups):
            if first < at:
                yield first, last
                at = max(at, last)


def _find_digit(run: re.Match[str], groups: list[str], number: int) -> int:
    """Where one of the digits of a run stands."""
    return run.start() + number + sum(end <= number for end in accumulate(map(len, groups)))


def _find_cards_at(begin: int, groups: list[str]) -> Spans:
    """The cards in groups of digits with single separators between them. A card begins and ends
    where a group does. begin: of the first."""
    digits = "".join(groups)
    if not digits.isascii():
        digits = "".join(str(int(digit)) for digit in digits)
    if len(groups) == 1 and len(digits) > max(_CARD):
        return
    numbers = digits.encode().translate(_TO_NUMBERS)
    odd, even = bytearray(numbers), bytearray(numbers)
    odd[1::2], even[::2] = odd[1::2].translate(_DOUBLED), even[::2].translate(_DOUBLED)
    sums = [*accumulate(even, initial=0)], [*accumulate(odd, initial=0)]
    ends = [*accumulate(map(len, groups))]
    are_ends, taken = frozenset(ends), 0
    for group, start in enumerate([0, *ends[:-1]]):
        if start < taken or not 2 <= numbers[start] <= 6:
            continue
        for size in _SIZES:
            last = start + size
            if last in are_ends and (sums[last % 2][last] - sums[last % 2][start]) % 10 == 0:
                yield begin + start + group, begin + last + ends.index(last)
                taken = last
                break


def find_ibans(text: str, start: int, end: int) -> Spans:
    """IBANs whose check digits are right, with or without spaces."""
    if b"aa00" not in _classify(text, max(0, start - 2), end).translate(_CLASSES):
        return
    for head in _match_all(IBAN, text, start, end):
        country, rest = head[1].upper(), head[2]
        length = _LENGTHS.get(country, 100) - 4
        signs = GAP.sub("", rest)
        if len(signs) < length:
            continue
        number = f"{signs[:length]}{country}{head[0]}".upper()
        if not _is_iban(number):
            continue
        places = [at for at, sign in enumerate(rest) if sign.isalnum()]
        last = head.end() + places[length - 1] + 1
        if not text[last : last + 1].isalnum():
            yield head.start(1), last


def _is_iban(number: str) -> bool:
    """ISO 7064, MOD 97-10. number: with its head at its end."""
    return int("".join(map(_VALUES.__getitem__, number))) % 97 == 1


def find_keys(text: str, start: int, end: int) -> Spans:
    """Keys of APIs, by how they begin."""
    if _SHORTEST_KEY in _classify(text, start, end).translate(_WORDS):
        yield from (found.span() for found in _match_all(KEY, text, start, end))


def find_named_keys(text: str, start: int, end: int) -> Spans:
    """Keys that have no form, by the name before them."""
    if "secret" in text[start : end + _LOOK].lower():
        yield from (found.span(1) for found in _match_all(AWS_SECRET, text, start, end))


def find_jwts(text: str, start: int, end: int) -> Spans:
    """JSON Web Tokens, also without their signature."""
    if text.find("eyJ", start, end + _LOOK) >= 0:
        yield from (found.span() for found in _match_all(JWT, text, start, end))


def find_private_keys(text: str, start: int, end: int) -> Spans:
    """Blocks of private keys (RFC 7468, OpenSSH, PGP), also those that are cut off."""
    if text.find("PRIVATE KEY", start, end + _LOOK) >= 0:
        yield from (found.span() for found in _match_all(PRIVATE_KEY, text, start, end))


def _classify(text: str, start: int, end: int) -> bytes:
    return text[start : end + _LOOK].encode("ascii", "replace")


def _match_all(
    pattern: re.Pattern[str], text: str, start: int, end: int
) -> Iterator[re.Match[str]]:
    """The matches that begin in a piece of a text."""
    at, seen = start, end + BEYOND
    while at < end and (found := pattern.search(text, at, seen)) and found.start() < end:
        if found.end() > seen - _LOOK:  # it may go on behind what has been looked at
            found = pattern.match(text, found.start()) or found
        yield found
        at = found.end()


KINDS: dict[str, tuple[Finder, ...]] = {
    "private_key": (find_private_keys,),
    "jwt": (find_jwts,),
    "key": (find_keys, find_named_keys),
    "email": (find_emails,),
    "iban": (find_ibans,),
    "card": (find_cards,),
}
"""All that is built in, what is longest first."""


def make_finder(pattern: str) -> Finder:
    """What finds an operator's own pattern, which core.own_patterns has checked."""
    compiled = re.compile(pattern)

    def find(text: str, start: int, end: int) -> Spans:
        return (found.span() for found in _match_all(compiled, text, start, end))

    return find
