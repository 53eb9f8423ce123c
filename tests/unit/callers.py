"""How tests call the app."""

from proxy.core.web import Response


def as_it_is(response: Response) -> Response:
    """The build of a caller that wants the response itself."""
    return response
