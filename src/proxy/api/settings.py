"""The operators' path for the settings."""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from proxy.analytics.query import parameters
from proxy.api.services import Services
from proxy.core.settings import SettingView, describe_settings
from proxy.core.web import FRESH_JSON, Response
from proxy.serving.context import RequestContext


class Problem(Struct, frozen=True):
    """Something of the deployment that an operator may want otherwise."""

    setting: str | None
    message: str


class SettingsReport(Struct, frozen=True):
    """The body of GET /admin/settings."""

    settings: tuple[SettingView, ...]
    problems: tuple[Problem, ...]


def show_settings(services: Services, context: RequestContext) -> Response:
    """GET /admin/settings: every setting in force and where it comes from. Raises
    InvalidRequest."""
    parameters.check_names(context.request.query, ())
    views = tuple(describe_settings(services.given, services.catalog.providers))
    report = SettingsReport(views, tuple(_find_problems(services, views)))
    return Response(headers=dict(FRESH_JSON), body=msgspec.json.encode(report))


def _find_problems(services: Services, views: Sequence[SettingView]) -> list[Problem]:
    """What is set for nothing, by its name alone: it may be a secret; and what is missing."""
    known = {view.name for view in views}
    problems = [
        Problem(name, "The deployment sets it, and the proxy has no setting of that name.")
        for name in sorted(services.given.env.keys() - known)
    ]
    if not services.selection.deployment.configured:
        problems.append(Problem(None, "No provider has its key, so no model can answer."))
    return problems
