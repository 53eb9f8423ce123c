"""How long an attempt may take, and whose fault it is when that time is up."""

from msgspec import Struct

from proxy.core.errors import Fault
from proxy.core.patience import Wait, within


class Allowance(Struct, frozen=True):
    """The seconds that an attempt has."""

    seconds: float
    own: float
    """What the deployment's own time-outs give it. A provider that was silent for less has not
    failed: a caller's deadline, or a long list of candidates, took its time."""

    def at_most(self, seconds: float) -> "Allowance":
        """The same within a time-out of the deployment's own."""
        return Allowance(min(self.seconds, seconds), min(self.own, seconds))

    def bound(self) -> Wait:
        """A context that raises TimeoutError once it has taken longer."""
        return within(self.seconds)

    def run_out(self) -> Fault:
        """The fault of an attempt that took longer."""
        if self.seconds < self.own:
            return out_of_time()
        return Fault("timeout", "The answer did not come in time.")


class Deadline(Struct, frozen=True):
    """When a request's time is up. Moments in seconds since 1970."""

    at: float
    own: float
    """The deadline that the deployment gives a request which names none."""
    least: float
    """Seconds; an attempt that had less says nothing of its provider."""
    providers: int
    """How many the deployment has: by itself it lets no more candidates share the time."""

    def allow_first_byte(self, now: float, waiting: int) -> Allowance:
        """What an attempt may take to its first byte. Each of the `waiting` candidates keeps a fair
        share for its own."""
        usual = min(waiting, self.providers - 1)
        own = max((self.own - now) / (1 + usual), self.least)
        return Allowance((self.at - now) / (1 + waiting), own)

    def allow_whole(self, now: float, others: int) -> Allowance:
        """What an attempt may take as a whole, which leaves one share where any of the `others`
        could still answer."""
        part = others / (1 + others) if others else 1.0
        return Allowance((self.at - now) * part, max((self.own - now) * part, self.least))


def out_of_time(message: str = "The request's own time was up.") -> Fault:
    """The fault of an attempt that the request's own deadline ended."""
    return Fault("timeout", message, source="proxy", blame="caller")
