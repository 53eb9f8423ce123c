"""Latencies as mergeable histograms.

They are DDSketch's (Masson, Rim, Lee: DDSketch, VLDB 2019): buckets whose bounds grow by a
constant factor. Promise: a quantile is within 5 % of the true one, whatever was merged in
whichever order.
"""

import math

ERROR = 0.045
"""The relative error of a bucket's middle; what is left to 5 % covers rounding to whole ms."""
GAMMA = (1 + ERROR) / (1 - ERROR)
_SCALE = 1 / math.log(GAMMA)

Sketch = dict[int, int]
"""How many values fell into which bucket: bucket 0 holds 0, bucket n values up to GAMMA^(n-1)."""


def find_bucket(ms: int) -> int:
    """The bucket of a value >= 0."""
    return math.ceil(math.log(ms) * _SCALE) + 1 if ms > 0 else 0


def upper_bound(bucket: int) -> float:
    """The greatest value of a bucket."""
    return GAMMA ** (bucket - 1) if bucket else 0.0


def add_value(sketch: Sketch, ms: int, count: int = 1) -> None:
    """Counts a value `count` times."""
    bucket = find_bucket(ms)
    sketch[bucket] = sketch.get(bucket, 0) + count


def merge_into(sketch: Sketch, other: Sketch) -> None:
    """Adds another's counts."""
    for bucket, count in other.items():
        sketch[bucket] = sketch.get(bucket, 0) + count


def estimate_quantile(sketch: Sketch, q: float) -> float | None:
    """What a share q in [0, 1] of the values does not exceed, None where there is none: within 5 %
    of the value whose rank is q count, rounded up (the nearest-rank definition)."""
    count = sum(sketch.values())
    if not count:
        return None
    left = max(0, math.ceil(q * count) - 1)
    for bucket in sorted(sketch):
        left -= sketch[bucket]
        if left < 0:
            return 2 * upper_bound(bucket) / (1 + GAMMA)
    raise AssertionError("a rank below the count is in some bucket")
