"""What is looked for in a text, and where it stands there.

Promise: the work grows with the text's length alone. No expression repeats what repeats, and what
repeats without a bound gives nothing back (`++`) or is tried once at the beginning of a word. An
expression begins with a sign that few places have, and looks back from there: that is what it costs
where nothing is found.
"""

import re
from collections.abc import Callable, Iterator
from typing import TypeAlias

Spans: TypeAlias = Iterator[tuple[int, int]]
Finder: TypeAlias = Callable[[str], Spans]

_LOCAL = 64
"""Characters before the @ (RFC 5321, 4.5.3.1.1)."""
BEFORE_AT = re.compile(r"[\w.+~'-]++")
AFTER_AT = re.compile(r"(?:[^\W_][\w-]{0,62}\.){1,8}[^\W\d_][\w-]{0,61}[^\W_]")
AT = re.compile(r"@|%40")
_GAP = r"[ \u00a0\u2007\u2009\u202f\u2010\u2011-]?"
"""Between groups of digits: spaces and dashes, also those at which no line breaks."""
_RUN = 1000
"""Digits that are looked at together: of a body of nothing else a list would be all the memory."""
DIGITS = re.compile(rf"\d(?<!\d\d)(?<!\d\.\d)(?:{_GAP}\d){{12,{_RUN - 1}}}+")
IBAN = re.compile(rf"\d\d(?<=(?<![A-Za-z0-9])([A-Za-z]{{2}})\d\d)(?={_GAP}[A-Za-z0-9])")
IBAN_SIGNS = re.compile(rf"(?:{_GAP}[A-Za-z0-9]){{11,30}}+")
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


def find_emails(text: str) -> Spans:
    """E-mail addresses, by their @, also as %40."""
    if "@" not in text and "%40" not in text:
        return
    for at in AT.finditer(text):
        before = BEFORE_AT.match(text[max(0, at.start() - _LOCAL) : at.start()][::-1])
        after = AFTER_AT.match(text, at.end())
        local = before[0][::-1].lstrip(".'") if before else ""
        if local and after:
            yield at.start() - len(local), after.end()


def find_cards(text: str) -> Spans:
    """Numbers of payment cards: 13 to 19 digits that Luhn's sum is right for, in groups between
    which there may be a space or a dash. They begin with 2 to 6, as those of the networks do."""
    at = 0
    while run := DIGITS.search(text, at):
        places = [at for at in range(*run.span()) if text[at].isdigit()]
        # Beyond those looked at may be more: a card that begins in the last of them is looked for
        # with what follows.
        at = places[-max(_CARD)] if len(places) == _RUN else run.end()
        for start, end in _find_cards_at(text, places):
            if start < at:
                yield start, end
                at = max(at, end)


def _find_cards_at(text: str, places: list[int]) -> Spans:
    """The cards in digits with single separators between them. A card begins and ends where a
    group does. places: of the digits."""
    digits = [int(text[at]) for at in places]
    plain, doubled = _sum_up(digits)
    starts = [n for n, at in enumerate(places) if n == 0 or places[n - 1] != at - 1]
    ends = {n for n, at in enumerate(places) if n + 1 == len(places) or places[n + 1] != at + 1}
    taken = 0
    for start in starts:
        if start < taken or not 2 <= digits[start] <= 6:
            continue
        for size in reversed(_CARD):
            last = start + size - 1
            if last in ends and _is_luhn(plain, doubled, start, last):
                yield places[start], places[last] + 1
                taken = last + 1
                break


def _sum_up(digits: list[int]) -> tuple[list[int], list[int]]:
    """Luhn's sums of the digits before each place: with those at odd places doubled, and with those
    at even ones."""
    odd, even = [0], [0]
    for place, digit in enumerate(digits):
        twice = 2 * digit - 9 * (digit > 4)
        odd.append(odd[-1] + (twice if place % 2 else digit))
        even.append(even[-1] + (digit if place % 2 else twice))
    return odd, even


def _is_luhn(odd: list[int], even: list[int], first: int, last: int) -> bool:
    """Whether the last digit checks the others, of which every second one from it is doubled."""
    sums = even if last % 2 else odd
    return (sums[last + 1] - sums[first]) % 10 == 0


def find_ibans(text: str) -> Spans:
    """IBANs whose check digits are right, with or without spaces."""
    for head in IBAN.finditer(text):
        length = _LENGTHS.get(head[1].upper())
        rest = IBAN_SIGNS.match(text, head.end()) if length else None
        if length is None or rest is None:
            continue
        signs = [at for at, sign in enumerate(rest[0]) if sign.isalnum()]
        if len(signs) < length - 4:
            continue
        size = signs[length - 5] + 1
        end = head.end() + size
        if text[end : end + 1].isalnum():
            continue
        number = head[1] + head[0] + "".join(filter(str.isalnum, rest[0][:size]))
        if _is_iban(number.upper()):
            yield head.start(1), end


def _is_iban(number: str) -> bool:
    """ISO 7064, MOD 97-10."""
    return int("".join(str(int(sign, 36)) for sign in number[4:] + number[:4])) % 97 == 1


def find_keys(text: str) -> Spans:
    """Keys of APIs, by how they begin."""
    yield from (found.span() for found in KEY.finditer(text))
    if "secret" in text.lower():
        yield from (found.span(1) for found in AWS_SECRET.finditer(text))


def find_jwts(text: str) -> Spans:
    """JSON Web Tokens, also without their signature."""
    if "eyJ" in text:
        yield from (found.span() for found in JWT.finditer(text))


def find_private_keys(text: str) -> Spans:
    """Blocks of private keys (RFC 7468, OpenSSH, PGP), also those that are cut off."""
    if "PRIVATE KEY" in text:
        yield from (found.span() for found in PRIVATE_KEY.finditer(text))


KINDS: dict[str, Finder] = {
    "private_key": find_private_keys,
    "jwt": find_jwts,
    "key": find_keys,
    "email": find_emails,
    "iban": find_ibans,
    "card": find_cards,
}
"""All that is built in, what is longest first."""


def make_finder(pattern: str) -> Finder:
    """What finds an operator's own pattern, which core.own_patterns has checked."""
    compiled = re.compile(pattern)

    def find(text: str) -> Spans:
        return (found.span() for found in compiled.finditer(text) if found[0])

    return find
