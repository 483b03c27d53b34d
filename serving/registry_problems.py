"""What MLflow says of versions, as answers to those who ask serving."""

from collections.abc import Iterator
from contextlib import contextmanager

from serving.problems import ProblemError, unavailable


def version_number(text: str) -> str:
    """`text` if it can be a version's; raises ProblemError 422."""
    if not text.isascii() or not text.isdecimal():
        raise ProblemError(422, "invalid_request", "a version is a number")
    return text


@contextmanager
def registry_problems() -> Iterator[None]:
    """Turns what the registry raises into ProblemError 404, 409 and 503. MLflow is imported by the watch of the
    models."""
    from data_contracts import registry

    try:
        yield
    except registry.UnknownVersionError as error:
        raise ProblemError(404, "unknown_version", str(error)) from None
    except registry.ApprovalNeededError as error:
        raise ProblemError(409, "override_needed", f"{error}; a reason overrules it") from None
    except registry.NotPromotableError as error:
        raise ProblemError(409, "not_promotable", str(error)) from None
    except registry.RegistryError as error:
        raise unavailable("registry_unreachable", str(error)) from None
