"""Which providers and models an isolate leaves alone, and for how long."""

from proxy.limits.cooldowns import LONGEST, REPORT_SECONDS, SCOPES, Cooldowns
from proxy.limits.pool_messages import Signal
from tests.unit.doubles import ManualClock

LIMITED = Signal(limited=True, retry_after=60)
LOW = Signal(remaining=1, limit=100, reset=9.0)


def test_no_wait_is_believed_for_longer_than_an_hour() -> None:
    clock = ManualClock()
    cooldowns = Cooldowns(clock)
    cooldowns.record("openai", Signal(limited=True, retry_after=1e9))
    clock.time += LONGEST - 1
    assert cooldowns.find_refusal("openai", "m")
    clock.time += 1
    assert not cooldowns.find_refusal("openai", "m")


def test_each_429_is_reported_and_what_is_none_now_and_then() -> None:
    clock = ManualClock()
    cooldowns = Cooldowns(clock)
    assert [cooldowns.record("openai", LIMITED) for _ in range(3)] == [True, True, True]
    assert [cooldowns.record("groq", LOW) for _ in range(3)] == [True, False, False]
    clock.time += REPORT_SECONDS
    assert cooldowns.record("groq", LOW)


def test_an_isolate_remembers_no_more_closed_models_than_there_is_room_for() -> None:
    clock = ManualClock()
    cooldowns = Cooldowns(clock)
    for number in range(2 * SCOPES):
        clock.time += 0.01
        cooldowns.record("openai", Signal(scope=f"{number}", limited=True, retry_after=60))
    closed = [n for n in range(2 * SCOPES) if cooldowns.find_refusal("openai", f"{n}")]
    assert SCOPES * 9 // 10 <= len(closed) <= SCOPES
    assert closed[-1] == 2 * SCOPES - 1
