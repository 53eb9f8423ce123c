"""The deployment's settings, in sections."""

from proxy.core.settings.describe import Given, SettingView, describe_settings
from proxy.core.settings.limits import LimitSettings, ProviderLimits
from proxy.core.settings.read import (
    SettingsError,
    is_setting,
    name_variable,
    read_section,
    read_settings,
)
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

__all__ = [
    "AccessSettings",
    "AnalyticsSettings",
    "BodyLogSettings",
    "CacheSettings",
    "Given",
    "LimitSettings",
    "PrivacySettings",
    "ProviderAccess",
    "ProviderLimits",
    "ResponseSettings",
    "RoutingSettings",
    "ServerSettings",
    "SettingView",
    "Settings",
    "SettingsError",
    "TraceSettings",
    "describe_settings",
    "is_setting",
    "name_variable",
    "read_section",
    "read_settings",
]
