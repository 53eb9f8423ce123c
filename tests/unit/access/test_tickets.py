"""A ticket lets its caller go on with its own upload, and no other."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.access.tickets import LIFETIME, Tickets
from proxy.core.principal import Budget, Principal

ANN = Principal(user="ann.b é", key_id="key_1", role="admin", budget=Budget(day=5))


def test_a_ticket_names_its_caller_and_no_more() -> None:
    tickets = Tickets("secret")
    ticket = tickets.issue(ANN, "u1", 1000.5)
    assert tickets.read(ticket, "u1", 1001) == Principal(user=ANN.user, key_id="key_1")
    assert tickets.read(ticket, "u2", 1001) is None
    assert tickets.read(ticket, "u1", 1000 + LIFETIME) is None
    assert Tickets("other").read(ticket, "u1", 1001) is None
    bob = ticket.replace(ticket.split(".")[2], "Ym9i")
    assert tickets.read(bob, "u1", 1001) is None


@given(st.text(max_size=60) | st.from_regex(r"\d*\.[a-z_]*\.[A-Za-z]*\.[0-9a-f]{64}"))
def test_nothing_else_is_a_ticket(text: str) -> None:
    assert Tickets("secret").read(text, "u1", 1) is None
