"""The cron trigger's work: what is over is pruned, and the providers' health is checked."""

import asyncio

from msgspec import structs

from proxy.api.services import Services
from proxy.cache.tiers import prune_prefix
from proxy.core.ports import Log
from proxy.privacy.body_log import BodyLog
from proxy.providers.target import Target
from proxy.routing import health


async def maintain(services: Services) -> None:
    """Does all of the work, also where a part of it fails; the first failure is raised then."""
    work = [_prune_cache(services), _check_providers(services)]
    if services.bodies:
        work.append(_prune_bodies(services.bodies, services.ports.log))
    if services.settings.analytics.enabled:
        work.append(services.reader.prune())
    for result in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


async def _prune_cache(services: Services) -> None:
    ports = services.ports
    if ports.r2:
        removed = await ports.r2.prune(prune_prefix(ports.clock.now()))
        ports.log("info", "cache pruned", removed=removed)


async def _prune_bodies(bodies: BodyLog, log: Log) -> None:
    if removed := await bodies.prune():
        log("info", "bodies pruned", removed=removed)


async def _check_providers(services: Services) -> None:
    ports, selection = services.ports, services.selection
    if services.watch.keys.has_pools:  # which keys others have set aside
        await services.watch.sync()
    targets = list[Target]()
    for name in selection.deployment.configured:
        target = selection.deployment.make_probe_target(name)
        targets.append(services.watch.keys.assign(target, lambda: None) or target)
    checks = await health.check_all(targets, ports.upstream, ports.clock)
    for check in checks:
        if not check.healthy:
            ports.log("warning", "provider unhealthy", **structs.asdict(check))
    await health.record_checks(checks, ports.objects)
