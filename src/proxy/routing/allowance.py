"""How long an attempt may take, and whom it tells of when that time is up."""

from msgspec import Struct

from proxy.core.errors import Fault


class Allowance(Struct, frozen=True):
    """What an attempt may take, in seconds, beside what the deployment's own time-outs give it.

    A provider that was silent for less than these give has not failed: a caller's deadline, or a
    long list of candidates, took the time from it.
    """

    seconds: float
    own: float

    def at_most(self, seconds: float) -> "Allowance":
        """The same within a time-out of the deployment's own."""
        return Allowance(min(self.seconds, seconds), min(self.own, seconds))

    def run_out(self) -> Fault:
        """The fault of an attempt that took longer."""
        if self.seconds < self.own:
            return out_of_time()
        return Fault("timeout", "The answer did not come in time.")


def out_of_time(message: str = "The request's own time was up.") -> Fault:
    """The fault of an attempt that the request's own deadline ended."""
    return Fault("timeout", message, source="proxy", blame="caller")
