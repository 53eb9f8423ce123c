"""The Durable Object of what one key has used."""

from functools import partial
from typing import Any

from proxy.limits.account import Account
from proxy.limits.account_messages import (
    RESERVE,
    RESET_ACCOUNT,
    SETTLE,
    SHOW_ACCOUNT,
    AccountView,
    ReservationAnswer,
    ReservationRequest,
    Settlement,
)
from proxy.objects.rpc import serves
from proxy.objects.stateful import Stateful
from proxy.platform.clock import now_ms


class KeyAccount(Stateful):
    """The account of the key that the object is named after. See limits.account."""

    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)
        self._account = self._revived(partial(Account, now_ms()))

    @serves(RESERVE)
    def reserve(self, request: ReservationRequest) -> ReservationAnswer:
        """Reserves tokens and money, if the key has them."""
        answer = self._account.reserve(request, now_ms())
        self._save(self._account.encode_state())
        return answer

    @serves(SETTLE)
    def settle(self, settlements: tuple[Settlement, ...]) -> None:
        """Puts what was used in the place of what was reserved."""
        now = now_ms()
        for used in settlements:
            self._account.settle(used.id, used.tokens, used.nano_usd, now)
        self._save(self._account.encode_state())

    @serves(SHOW_ACCOUNT)
    def show(self, _: None) -> AccountView:
        """How the account stands."""
        return self._account.show(now_ms())

    @serves(RESET_ACCOUNT)
    def reset(self, _: None) -> None:
        """Forgets what was used."""
        self._account.reset(now_ms())
        self._save(self._account.encode_state())

    async def on_alarm(self, info: Any = None) -> None:
        """Drops the state of an account whose month is over."""
        await self._forget_or_wait(self._account.is_idle(now_ms()))

    def _idle_at(self, now: int) -> int:
        return self._account.find_idle_at(now)
