"""The only code that moves an alias of the registered model, and it reads the verdict first; what reads them is
data_contracts.registered_versions.

`challenger` is the version to be judged, `champion` the one that takes traffic, `previous` the champion before it,
`canary` one that takes a share of it, and each `shadow*` one that scores what others answer.
"""

from datetime import UTC, datetime

from mlflow import MlflowClient

from data_contracts.landing_lines import instant_text
from data_contracts.mlflow_client import RegistryError, connect, plain_errors
from data_contracts.model_versions import (
    ALIAS_MOVE,
    CANARY,
    CHALLENGER,
    CHAMPION,
    PREVIOUS,
    SHADOW,
)
from data_contracts.promotable import ROLLED_BACK, ApprovalNeededError, NotPromotableError, check_promotable
from data_contracts.registered_versions import (
    CANARY_SHARE,
    Routing,
    UnknownVersionError,
    aliases,
    aliases_of,
    challenger,
    champion,
    champion_version,
    find_version,
    known_version,
    live_feature_sets,
    record_verdict,
    registered,
    routing,
    set_tag,
    version,
    versions,
)
from data_contracts.settings import Settings

__all__ = [
    "ROLLED_BACK",
    "ApprovalNeededError",
    "NotPromotableError",
    "RegistryError",
    "Routing",
    "UnknownVersionError",
    "aliases",
    "challenger",
    "champion",
    "champion_version",
    "connect",
    "end_canary",
    "end_shadow",
    "find_version",
    "live_feature_sets",
    "promote",
    "record_verdict",
    "roll_back",
    "routing",
    "set_challenger",
    "set_shadow",
    "set_tag",
    "start_canary",
    "version",
    "versions",
]

LARGEST_SHARE = 0.5
"""Of users, a canary's: beyond it the champion would be the canary."""
NO_PUNCTUATION = str.maketrans("", "", "-:")
"""MLflow takes no colon in the name of a tag."""


def set_challenger(settings: Settings, version: str) -> None:
    """Make `version` the one to be judged."""
    with plain_errors():
        _move(connect(settings), settings.model_name, CHALLENGER, version)


def promote(settings: Settings, version: str, approved_by: str = "") -> None:
    """Make `version` the champion and keep the champion before it as `previous`; nothing to do when it already is.

    Its verdict must say `promote`, or `wait_for_person` or `not_comparable` and a person is named, and must have been
    reached against the champion of now; what was taken out of traffic needs a name too. NotPromotableError otherwise
    (ApprovalNeededError when a name would do). A canary ends by it.
    """
    with plain_errors():
        client, name = connect(settings), settings.model_name
        incumbent = aliases_of(client, name).get(CHAMPION)
        if incumbent == version:
            return
        _approve(client, name, version, incumbent, approved_by)
        _take(client, name, CANARY, f"version {version} was promoted")
        if incumbent:
            _move(client, name, PREVIOUS, incumbent, f"version {version} was promoted")
        _make_champion(client, name, version, _by_whom(approved_by))


def start_canary(settings: Settings, version: str, share: float, approved_by: str = "") -> None:
    """Let `version` answer a share of users, above 0 and at most LARGEST_SHARE, beside the champion, on what would
    promote it too: NotPromotableError otherwise, and where there is no champion to go back to. A canary that is under
    way gets the new share."""
    if not 0 < share <= LARGEST_SHARE:
        raise NotPromotableError(f"a canary's share of users is above 0 and at most {LARGEST_SHARE}, not {share}")
    with plain_errors():
        client, name = connect(settings), settings.model_name
        given = aliases_of(client, name)
        incumbent = given.get(CHAMPION)
        if incumbent is None:
            raise NotPromotableError(f"{name} has no champion that a canary could be beside")
        if incumbent == version:
            raise NotPromotableError(f"version {version} of {name} is the champion")
        is_new = given.get(CANARY) != version
        if is_new:
            _approve(client, name, version, incumbent, approved_by)
            _take(client, name, CANARY, f"version {version} is the canary")
        client.set_registered_model_tag(name, CANARY_SHARE, repr(share))
        if is_new:
            client.set_registered_model_alias(name, CANARY, version)
        _write_down(client, name, version, CANARY, f"{share:g} of users, {_by_whom(approved_by)}")
        _forget_rollback(client, name, version)


def end_canary(settings: Settings, reason: str, version: str | None = None) -> str | None:
    """All traffic to the champion again. Gives the version that was the canary; None when there is none, or not
    `version`. No run promotes it by itself from then on."""
    with plain_errors():
        client, name = connect(settings), settings.model_name
        canary = aliases_of(client, name).get(CANARY)
        if canary is None or version not in (None, canary):
            return None
        client.set_model_version_tag(name, canary, ROLLED_BACK, _noted(reason))
        _take(client, name, CANARY, reason, only=canary)
        return canary


def set_shadow(settings: Settings, version: str, alias: str = SHADOW) -> str | None:
    """Let `version` score what others answer; gives the version that had the alias. Raises RegistryError for an alias
    that is not a shadow's."""
    _check_shadow(alias)
    with plain_errors():
        client, name = connect(settings), settings.model_name
        known_version(client, name, version)
        was = aliases_of(client, name).get(alias)
        _move(client, name, alias, version)
        return was


def end_shadow(settings: Settings, alias: str = SHADOW) -> str | None:
    """Gives the version that had the alias."""
    _check_shadow(alias)
    with plain_errors():
        client, name = connect(settings), settings.model_name
        was = aliases_of(client, name).get(alias)
        _take(client, name, alias)
        return was


def roll_back(settings: Settings, reason: str) -> tuple[str, str]:
    """Make `previous` the champion again, and the champion `previous`, with the reason as a tag: no run promotes it by
    itself from then on. Gives the version that takes traffic now, and the one that took it. RegistryError when there is
    nothing to go back to, or only what was rolled back itself."""
    with plain_errors():
        client, name = connect(settings), settings.model_name
        given = aliases_of(client, name)
        champion, previous = given.get(CHAMPION), given.get(PREVIOUS)
        if champion is None or previous is None:
            raise RegistryError(f"{name} has no champion before this one to go back to")
        if champion == previous:
            raise RegistryError(f"version {champion} of {name} is champion and previous: it was rolled back to already")
        before = client.get_model_version(name, previous).tags
        if ROLLED_BACK in before:
            raise RegistryError(
                f"version {previous} of {name}, the one before, was itself rolled back at {before[ROLLED_BACK]}; who "
                f"wants it back runs `clicklake model promote {previous} --approved-by NAME`"
            )
        client.set_model_version_tag(name, champion, ROLLED_BACK, _noted(reason))
        _take(client, name, CANARY, f"version {champion} was rolled back")
        _make_champion(client, name, previous, f"version {champion} was rolled back: {reason}")
        _move(client, name, PREVIOUS, champion, f"rolled back: {reason}")
        return previous, champion


def _move(client: MlflowClient, name: str, alias: str, version: str, why: str = "") -> None:
    """Gives `version` the alias, which whatever had it loses, and writes that down as a tag of the version."""
    if aliases_of(client, name).get(alias) == version:
        return
    client.set_registered_model_alias(name, alias, version)
    _write_down(client, name, version, alias, why)


def _take(client: MlflowClient, name: str, alias: str, why: str = "", only: str | None = None) -> None:
    """Nobody, or not `only` this version, has the alias any more; a tag of the version that had it says why."""
    version = aliases_of(client, name).get(alias)
    if version is not None and only in (None, version):
        client.delete_registered_model_alias(name, alias)
        _write_down(client, name, version, f"no {alias} any more", why)


def _write_down(client: MlflowClient, name: str, version: str, what: str, why: str) -> None:
    at = instant_text(datetime.now(UTC)).translate(NO_PUNCTUATION)
    client.set_model_version_tag(name, version, f"{ALIAS_MOVE}{at}", (f"{what}: {why}" if why else what)[:5000])


def _approve(client: MlflowClient, name: str, version: str, incumbent: str | None, approved_by: str) -> None:
    check_promotable(registered(client, known_version(client, name, version)), incumbent, approved_by)
    if approved_by:
        client.set_model_version_tag(name, version, "approved_by", approved_by)


def _by_whom(approved_by: str) -> str:
    return f"approved by {approved_by}" if approved_by else "by its verdict"


def _noted(reason: str) -> str:
    return f"{instant_text(datetime.now(UTC))}: {reason}"[:5000]


def _check_shadow(alias: str) -> None:
    if not alias.startswith(SHADOW):
        raise RegistryError(f"{alias!r} is no alias of a shadow: these begin with {SHADOW!r}")


def _make_champion(client: MlflowClient, name: str, version: str, why: str) -> None:
    """The mark of a rollback goes last: whatever fails before, no run promotes the version by itself."""
    _move(client, name, CHAMPION, version, why)
    _forget_rollback(client, name, version)


def _forget_rollback(client: MlflowClient, name: str, version: str) -> None:
    if ROLLED_BACK in client.get_model_version(name, version).tags:
        client.delete_model_version_tag(name, version, ROLLED_BACK)
