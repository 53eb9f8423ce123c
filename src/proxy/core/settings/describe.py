"""The settings in force, as operators may see them: where each comes from, and no secret."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, get_type_hints

from msgspec import Struct

from proxy.core.settings.limits import ProviderLimits
from proxy.core.settings.read import list_numbered, name_variable
from proxy.core.settings.routing import ProviderAccess
from proxy.core.settings.sections import Settings
from proxy.core.settings.values import HEADERS, SECRET, SECRETS, Setting, list_settings

Source = Literal["default", "deployment", "secrets_store"]

_HIDDEN = (SECRET, SECRETS, HEADERS)
"""The readers of what nobody is shown."""
_LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)")
_FURTHER = "A further key of the provider (secret)."


class Given(Struct, frozen=True):
    """What a deployment sets."""

    env: Mapping[str, str]
    """The Worker's vars and secrets."""
    stored: frozenset[str] = frozenset()
    """The names of those that come from the Secrets Store."""


class SettingView(Struct, frozen=True, kw_only=True):
    """A setting as operators see it. Texts are as an operator writes them."""

    name: str
    section: str
    """The field of `Settings`; `providers` for those of a provider."""
    provider: str | None
    value: str | None
    """What is in force; None: a secret."""
    secret: bool
    set: bool
    """Whether the deployment sets it."""
    source: Source
    default: str
    values: str
    """What may be set, in Markdown; empty: any text."""
    help: str
    """In Markdown, without links."""


def describe_settings(given: Given, providers: Iterable[str]) -> Iterator[SettingView]:
    """All settings, section by section. providers: the names of those that are known."""
    for section, kind in get_type_hints(Settings).items():
        for setting, meaning in list_settings(kind).values():
            yield _view_of(given, setting, meaning, section)
    own = list_settings(ProviderAccess) | list_settings(ProviderLimits)
    numbered = list_numbered(given.env)
    for provider in providers:
        for setting, meaning in own.values():
            named = setting._replace(name=name_variable(provider, setting.name))
            yield _view_of(given, named, meaning, "providers", provider)
        for name in numbered.get(name_variable(provider, "API_KEY"), ()):
            yield _view_of(given, Setting(name, "", SECRETS), _FURTHER, "providers", provider)


def _view_of(
    given: Given, setting: Setting, meaning: str, section: str, provider: str | None = None
) -> SettingView:
    text = given.env.get(setting.name, "").strip()
    source: Source = "secrets_store" if setting.name in given.stored else "deployment"
    secret = setting.reader in _HIDDEN
    return SettingView(
        name=setting.name,
        section=section,
        provider=provider,
        value=None if secret else text or setting.default,
        secret=secret,
        set=bool(text),
        source=source if text else "default",
        default=setting.default,
        values=setting.reader.values,
        help=_LINK.sub(r"\1", meaning),
    )
