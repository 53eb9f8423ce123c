"""Moments: how long ago they were, and as texts (RFC 3339, the dates of HTTP)."""

import re
from datetime import UTC, datetime

LAST_MS = 253_402_300_799_999
"""The end of the year 9999, the last moment that RFC 3339 can write."""
_DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_TIME = r"(?P<time>\d\d:\d\d:\d\d)"
_ZONE = r"(?P<zone>GMT|UTC?|Z|[+-]\d{4})"
_HTTP_DATES = tuple(
    re.compile(form, re.ASCII | re.IGNORECASE)
    for form in (
        rf"\w{{3}}, (?P<day>\d\d?) (?P<month>\w{{3}}) (?P<year>\d{{4}}) {_TIME} {_ZONE}",
        rf"\w{{6,9}}, (?P<day>\d\d)-(?P<month>\w{{3}})-(?P<year>\d\d) {_TIME} {_ZONE}",
        rf"\w{{3}} (?P<month>\w{{3}}) (?P<day>[ \d]\d) {_TIME} (?P<year>\d{{4}})",
    )
)
"""RFC 9110's three: its own, RFC 850's and asctime's, in any case and any zone."""
_ISO_DATE = re.compile(r"\d{4}-?\d\d-?\d\d[T ].{1,30}", re.ASCII | re.IGNORECASE)


def is_recent(moment: float | None, seconds: float, now: float) -> bool:
    """Whether something began, and less than `seconds` ago. A clock that stepped back ends it."""
    return moment is not None and 0 <= now - moment < seconds


def format_time(ms: int) -> str:
    """Milliseconds since 1970 as RFC 3339 in UTC; without a fraction where it is 0."""
    whole, rest = divmod(ms, 1000)
    text = datetime.fromtimestamp(whole, UTC).replace(tzinfo=None).isoformat()
    return f"{text}.{rest:03d}Z" if rest else f"{text}Z"


def format_time_ms(ms: int) -> str:
    """The same with three digits of a second, whatever they are."""
    whole, rest = divmod(ms, 1000)
    return f"{format_time(whole * 1000)[:-1]}.{rest:03d}Z"


def format_http_date(moment: float) -> str:
    """Seconds since 1970 as HTTP writes a date (RFC 9110, 5.6.7)."""
    when = datetime.fromtimestamp(moment, UTC)
    day, month = _DAYS[when.weekday()], _MONTHS[when.month - 1]
    return f"{day}, {when.day:02} {month} {when.year:04} {when:%H:%M:%S} GMT"


def parse_time(text: str, now: float) -> float | None:
    """Seconds since 1970 of an HTTP date or a date of RFC 3339; None: it is neither. Without a zone
    it is UTC. now: the present, by which a year of two digits is completed."""
    try:
        if match := next((m for form in _HTTP_DATES if (m := form.fullmatch(text))), None):
            month = _MONTHS.index(match["month"].capitalize()) + 1
            year = _complete_year(match["year"], now)
            day, time = int(match["day"]), match["time"]
            zone = match.groupdict().get("zone", "Z")
            zone = zone if zone[0] in "+-" else "Z"
            text = f"{year:04}-{month:02}-{day:02}T{time}{zone}"
        elif not _ISO_DATE.fullmatch(text):
            return None
        date = datetime.fromisoformat(text.upper())
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _complete_year(year: str, now: float) -> int:
    """The year that two digits mean: as RFC 9110 says, none that is more than 50 years ahead."""
    if len(year) == 4:
        return int(year)
    present = datetime.fromtimestamp(now, UTC).year
    ahead = (int(year) - present) % 100
    return present + (ahead if ahead <= 50 else ahead - 100)
