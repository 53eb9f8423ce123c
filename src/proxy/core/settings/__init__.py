"""The deployment's settings, in sections."""

from proxy.core.settings.describe import Given as Given
from proxy.core.settings.describe import SettingView as SettingView
from proxy.core.settings.describe import describe_settings as describe_settings
from proxy.core.settings.limits import LimitSettings as LimitSettings
from proxy.core.settings.limits import ProviderLimits as ProviderLimits
from proxy.core.settings.read import SettingsError as SettingsError
from proxy.core.settings.read import is_setting as is_setting
from proxy.core.settings.read import name_variable as name_variable
from proxy.core.settings.read import read_section as read_section
from proxy.core.settings.read import read_settings as read_settings
from proxy.core.settings.routing import ProviderAccess as ProviderAccess
from proxy.core.settings.routing import RoutingSettings as RoutingSettings
from proxy.core.settings.sections import AccessSettings as AccessSettings
from proxy.core.settings.sections import AnalyticsSettings as AnalyticsSettings
from proxy.core.settings.sections import BodyLogSettings as BodyLogSettings
from proxy.core.settings.sections import CacheSettings as CacheSettings
from proxy.core.settings.sections import PrivacySettings as PrivacySettings
from proxy.core.settings.sections import ResponseSettings as ResponseSettings
from proxy.core.settings.sections import ServerSettings as ServerSettings
from proxy.core.settings.sections import Settings as Settings
from proxy.core.settings.sections import TraceSettings as TraceSettings
