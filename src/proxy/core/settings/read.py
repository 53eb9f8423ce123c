"""Reads the settings from the Worker's vars and secrets, once an isolate."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import TypeVar, get_type_hints
from urllib.parse import urlsplit

from msgspec import Struct, structs

from proxy.core.settings.limits import LimitSettings, ProviderLimits
from proxy.core.settings.routing import ProviderAccess, RoutingSettings
from proxy.core.settings.sections import (
    AccessSettings,
    AnalyticsSettings,
    BodyLogSettings,
    CacheSettings,
    PrivacySettings,
    ResponseSettings,
    ServerSettings,
    Settings,
    TraceSettings,
)
from proxy.core.settings.values import HTTPS_ONLY, list_settings, read_secrets

S = TypeVar("S", bound=Struct)
_NUMBERED = re.compile(r"([A-Z0-9_]+_API_KEY)_([1-9][0-9]?)")


class SettingsError(Exception):
    """The settings make no sense; the message lists every fault."""


def name_variable(provider: str, end: str) -> str:
    """The name of a provider's setting: name_variable("workers-ai", "BASE_URL")."""
    return f"{provider.upper().replace('-', '_')}_{end}"


def is_setting(name: str) -> bool:
    """Whether a variable of that name may be one: a provider's counts by its end."""
    found = _NUMBERED.fullmatch(name)
    name = found[1] if found else name
    ends = _list_names(ProviderAccess, ProviderLimits)
    return name in _list_own_names() or name.endswith(tuple(f"_{end}" for end in ends))


def read_section(section: type[S], get: Callable[[str], object]) -> S:
    """One section, for what needs no more; what makes no sense has its default."""
    return _Reading(get).section(section)


def read_settings(env: Mapping[str, str], providers: Iterable[str]) -> Settings:
    """All sections. providers: the catalogue's names. Raises SettingsError."""
    reading = _Reading(lambda name: env.get(name, ""))
    given = reading.section(RoutingSettings)
    known = (*providers, *reading.keep_new(given.local_providers, tuple(providers)))
    numbered = list_numbered(env)
    access = reading.section(AccessSettings)
    is_local = access.environment == "development"
    server = reading.section(ServerSettings)
    limits, traces = reading.section(LimitSettings), reading.section(TraceSettings)
    limits = structs.replace(
        limits, providers={name: reading.section(ProviderLimits, name) for name in known}
    )
    routing = reading.keep_known(given, known)
    reached = {name: reading.access(name, is_local, numbered) for name in known}
    if len(set(access.secrets)) < len(access.secrets):
        reading.faults.append("PROXY_API_KEY, METRICS_TOKEN and ADMIN_TOKEN must differ")
    reading.check_sign_in(access, is_local=is_local)
    if traces.metrics == "otlp" and not traces.endpoint:
        reading.faults.append("OTEL_METRICS_EXPORTER needs OTEL_EXPORTER_OTLP_ENDPOINT")
    own = (*access.secrets, *traces.headers.values())
    secrets = filter(None, (*(key for access in reached.values() for key in access.keys), *own))
    settings = Settings(
        access=access,
        server=server,
        cache=reading.section(CacheSettings),
        responses=reading.section(ResponseSettings),
        privacy=reading.section(PrivacySettings),
        body_log=reading.section(BodyLogSettings),
        limits=limits,
        routing=structs.replace(routing, providers=reached, secrets=tuple(secrets)),
        analytics=reading.section(AnalyticsSettings),
        traces=traces,
    )
    if settings.body_log.enabled and not settings.analytics.enabled:
        reading.faults.append("BODY_LOG needs ANALYTICS=on, whose request log says what is kept")
    if reading.faults:
        raise SettingsError("The settings are wrong: " + "; ".join(reading.faults) + ".")
    return settings


@cache
def _list_names(*sections: type[Struct]) -> frozenset[str]:
    return frozenset(setting.name for of in sections for setting, _ in list_settings(of).values())


@cache
def _list_own_names() -> frozenset[str]:
    """Those of the settings that are no provider's."""
    return _list_names(*get_type_hints(Settings).values())


def list_numbered(env: Mapping[str, str]) -> dict[str, list[str]]:
    """The settings of further keys, `X_API_KEY_1` to `X_API_KEY_99`, by `X_API_KEY`, in order."""
    found: dict[str, list[tuple[int, str]]] = {}
    for name in env:
        if match := _NUMBERED.fullmatch(name):
            found.setdefault(match[1], []).append((int(match[2]), name))
    return {first: [name for _, name in sorted(each)] for first, each in found.items()}


class _Reading:
    """Reads sections and gathers what makes no sense in them."""

    def __init__(self, get: Callable[[str], object]) -> None:
        self._get = get
        self.faults: list[str] = []

    def section(self, section: type[S], provider: str = "") -> S:
        """The section; of a provider, where it has that section for itself."""
        values: dict[str, object] = {}
        for field, (setting, _) in list_settings(section).items():
            name = name_variable(provider, setting.name) if provider else setting.name
            given = self._get(name)  # a var of wrangler.toml may be a number: it is no setting
            text = given.strip() if isinstance(given, str) else ""
            try:
                values[field] = setting.reader.read(text or setting.default)
            except ValueError as error:
                self.faults.append(f"{name} {error}")
                values[field] = setting.reader.read(setting.default)
        return section(**values)

    def access(
        self, provider: str, is_local: bool, numbered: Mapping[str, Sequence[str]]
    ) -> ProviderAccess:
        """How a provider is reached: by https, or to this machine in development. numbered: the
        settings of further keys, by that of the first."""
        access = self.section(ProviderAccess, provider)
        keys = [*access.keys]
        for name in numbered.get(name_variable(provider, "API_KEY"), ()):
            keys += self._read_keys(name)
        access = structs.replace(access, keys=tuple(dict.fromkeys(keys)))
        for end, url in (
            ("BASE_URL", access.base_url),
            ("EMBEDDINGS_BASE_URL", access.embeddings_url),
        ):
            if url and not is_local and urlsplit(url).scheme == "http":
                self.faults.append(f"{name_variable(provider, end)} {HTTPS_ONLY}")
        return access

    def check_sign_in(self, access: AccessSettings, *, is_local: bool) -> None:
        """What of Cloudflare Access makes sense together only."""
        if access.team and not access.auds:
            self.faults.append("ACCESS_TEAM_DOMAIN needs ACCESS_AUD, or tokens for any other pass")
        if access.team and not access.roles:
            self.faults.append("ACCESS_TEAM_DOMAIN needs ACCESS_ROLES, or nobody is signed in")
        if access.team and not is_local and urlsplit(access.team).scheme == "http":
            self.faults.append(f"ACCESS_TEAM_DOMAIN {HTTPS_ONLY}")

    def _read_keys(self, name: str) -> tuple[str, ...]:
        given = self._get(name)
        try:
            return read_secrets(given.strip() if isinstance(given, str) else "")
        except ValueError as error:
            self.faults.append(f"{name} {error}")
            return ()

    def keep_new(self, servers: tuple[str, ...], known: tuple[str, ...]) -> Iterator[str]:
        """The names of LOCAL_PROVIDERS, but those that another has, or whose settings would be
        somebody else's: a server `proxy` would be sent PROXY_API_KEY."""
        if not servers:
            return
        ends = _list_names(ProviderAccess, ProviderLimits)
        taken = set(_list_own_names())
        for name in (*known, *servers):
            own = {name_variable(name, end) for end in ends}
            if name in servers and (name in known or own & taken):
                why = (
                    "is a provider already" if name in known else f"would share {min(own & taken)}"
                )
                self.faults.append(f"LOCAL_PROVIDERS names {name}, which {why}")
            elif name in servers:
                yield name
            taken |= own

    def keep_known(self, routing: RoutingSettings, known: tuple[str, ...]) -> RoutingSettings:
        """Without the providers that are not in the catalogue, of which only a default may speak:
        a user may have taken them out."""
        chain, disabled = routing.fallback_chain, routing.disabled_providers
        for name, named in (
            ("FALLBACK_CHAIN", {word: word for word in chain}),
            ("DISABLED_PROVIDERS", {word: word for word in disabled}),
            ("ROUTING_WEIGHTS", {word: word.partition("/")[0] for word in routing.weights}),
        ):
            strangers = ", ".join(word for word, provider in named.items() if provider not in known)
            if strangers and self._get(name):
                self.faults.append(f"{name} names {strangers}; there are {', '.join(known)}")
        return structs.replace(
            routing,
            fallback_chain=tuple(word for word in chain if word in known),
            disabled_providers=tuple(word for word in disabled if word in known),
        )
