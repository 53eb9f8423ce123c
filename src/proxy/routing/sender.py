"""Sends a candidate's call, and reports to the limits what the provider says of its own."""

from proxy.core.errors import Fault
from proxy.core.permit import Permit
from proxy.core.ports import Outgoing, Ports, Reply
from proxy.core.receive import read_head
from proxy.core.settings import RoutingSettings
from proxy.providers.registry import ADAPTERS
from proxy.providers.target import Target
from proxy.routing.deadline import Allowance
from proxy.routing.key_pools import KeyPools
from proxy.routing.refused_fields import RefusedFields, find_named, without


class Sender:
    """Sends the calls of an isolate, and remembers which provider refuses which fields."""

    def __init__(self, settings: RoutingSettings, ports: Ports, keys: KeyPools) -> None:
        self.ports = ports
        self.keys = keys
        self._settings = settings
        self._refused = RefusedFields()

    async def send(
        self,
        target: Target,
        outgoing: Outgoing,
        permit: Permit,
        first_byte: Allowance,
        *,
        streamed: bool = False,
    ) -> Reply:
        """A reply of status 2xx. A call that is refused for fields of the proxy's own goes once
        more without them. Raises the Fault that another status means."""
        # Unstreamed, a provider may think for long between its headers and its answer.
        idle = max(first_byte.seconds, first_byte.own)
        if streamed:
            first_byte = first_byte.at_most(self._settings.first_byte_timeout_ms / 1000)
            idle = self._settings.idle_timeout_ms / 1000
        provider, refused = target.spec.name, frozenset[str]()
        outgoing = self._refused.leave_out(provider, outgoing)
        while True:
            try:
                with first_byte.bound():
                    reply = await self.ports.upstream.send(outgoing, idle=idle)
            except TimeoutError:
                raise first_byte.run_out() from None
            if 200 <= reply.status < 300:
                self.keys.observe(target, permit, reply.headers)
                if refused:
                    self._refused.remember(provider, refused)
                return reply
            fault, body = await self._read_fault(target, reply, permit)
            if fault.kind == "bad_request" and not refused:
                refused = find_named(body, outgoing)
                outgoing = without(outgoing, refused)
                if refused:
                    continue
            raise fault

    async def _read_fault(
        self, target: Target, reply: Reply, permit: Permit
    ) -> tuple[Fault, bytes]:
        body = await read_head(reply)
        fault = ADAPTERS[target.wire].read_fault(
            target, reply.status, reply.headers, body, self.ports.clock.now()
        )
        self.keys.observe(target, permit, reply.headers, fault)
        return fault, body
