"""What the adaptive pool does on a day on which a provider is short by day.

    python -m bench.adaptive_day [SEED]

Simulated: see tests.unit.limits.day. Printed for the hours in which the provider is short and for
the whole day: without the pool, with it, and with it at a provider that also sends headers. A
client asks again twice after a refusal or a 429, and obeys Retry-After.

    got       of what was asked, in the end; at once: without asking again
    share     of all that was got
    refused   by the user's own bucket, at the last try
    lost      the last try was a 429
    429s      that the provider gave, at any try
"""

import sys

from tests.unit.limits.day import GROUPS, LITTLE, PLENTY, SHORT, Tally, run

SETUPS = {
    "without the pool": {"adaptive": False},
    "with it": {"adaptive": True},
    "with it, and headers": {"adaptive": True, "telling": True},
}


def _table(hours: range, seed: int) -> None:
    heads = ("asked", "got", "at once", "share", "refused", "lost", "429s")
    print(f"\n{f'hours {hours.start} to {hours.stop}':22}{'group':12}", *(f"{h:>9}" for h in heads))
    for title, setup in SETUPS.items():
        tallies = run(hours, seed=seed, **setup)
        total = sum(tally.got for tally in tallies.values())
        for name, tally in tallies.items():
            print(f"{title:22}{name:12}", *_cells(tally, total))
        limited = sum(tally.limited for tally in tallies.values())
        print(f"{title:22}{'all':12}", f"{total:19,}", f"{limited:49,}")


def _cells(tally: Tally, total: int) -> list[str]:
    refused = tally.asked - tally.got - tally.lost
    parts = (tally.got / tally.asked, tally.at_once / tally.asked, tally.got / total)
    shown = [f"{tally.asked:9,}", *(f"{part:9.2%}" for part in parts)]
    return shown + [f"{count:9,}" for count in (refused, tally.lost, tally.limited)]


def main() -> int:
    """Prints the tables."""
    for group in GROUPS:
        least, most = group.requests
        print(
            f"{group.users:4} {group.name:12}each {group.times * (least + most) / 2:7,.1f} requests"
            f" an hour, {least} to {most} at a time, in hours {group.awake.start} to"
            f" {group.awake.stop}; may {group.rate.per_hour:,}, {group.rate.burst} at once"
        )
    print(
        f"The provider bears {PLENTY.per_hour:,} an hour, {LITTLE.per_hour:,} in hours"
        f" {SHORT.start} to {SHORT.stop}."
    )
    for hours in (SHORT, range(24)):
        _table(hours, int(sys.argv[1]) if len(sys.argv) > 1 else 1)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
