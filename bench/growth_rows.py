"""What bench.growth measures: requests that meet more and more of what the proxy keeps."""

from dataclasses import dataclass, field


@dataclass
class Row:
    """A request, and what it costs where little or much is kept."""

    kept: str
    request: str
    sizes: tuple[int, ...]
    """How much is kept, the least first."""
    is_pure: bool = False
    """Whether the pure module is measured on CPython, and not the Worker."""
    costs: list[list[float]] = field(default_factory=list)
    """Seconds of CPU of a request, round by round, for each size."""

    def __post_init__(self) -> None:
        self.costs = [[] for _ in self.sizes]

    @property
    def where(self) -> str:
        """For people."""
        return "pure module" if self.is_pure else "workerd"
