"""Model versions, their aliases and verdicts in MLflow: the only code that moves an alias, and it reads the verdict
first.

`challenger` is the version to be judged, `champion` the one that takes traffic, `previous` the champion before it.
"""

from datetime import UTC, datetime

from mlflow import MlflowClient, artifacts
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from data_contracts.landing_lines import instant_text
from data_contracts.mlflow_client import RegistryError, connect, plain_errors
from data_contracts.model_versions import ALIAS_MOVE, RELEASABLE, VERDICT_FILE, RegisteredVersion, Verdict
from data_contracts.settings import Settings

__all__ = [
    "ApprovalNeededError",
    "NotPromotableError",
    "RegistryError",
    "UnknownVersionError",
    "aliases",
    "challenger",
    "champion",
    "champion_version",
    "connect",
    "find_version",
    "live_feature_sets",
    "promote",
    "record_verdict",
    "roll_back",
    "set_challenger",
    "set_tag",
    "version",
    "versions",
]

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
ROLLED_BACK = "rolled_back"
"""Tag of a version that a person took out of traffic: when and why."""
NO_PUNCTUATION = str.maketrans("", "", "-:")
"""MLflow takes no colon in the name of a tag."""


class UnknownVersionError(RegistryError):
    """There is no such version of the model."""


class NotPromotableError(RegistryError):
    """The version's verdict does not let it become champion; the message says why."""


class ApprovalNeededError(NotPromotableError):
    """The version's verdict lets it become champion once a named person approves."""


def aliases(settings: Settings) -> dict[str, str]:
    """The version under each alias, in one call: cheap enough to ask every second."""
    with plain_errors():
        return _aliases(connect(settings), settings.model_name)


def champion_version(settings: Settings) -> str | None:
    """Version of the champion alone."""
    return aliases(settings).get(CHAMPION)


def champion(settings: Settings) -> RegisteredVersion | None:
    """The version that takes traffic, if there is one."""
    return _under_alias(settings, CHAMPION)


def challenger(settings: Settings) -> RegisteredVersion | None:
    """The version to be judged, if there is one."""
    return _under_alias(settings, CHALLENGER)


def live_feature_sets(settings: Settings) -> set[str]:
    """The hashes of the feature sets of all versions under an alias: what may be asked to score, now or next."""
    with plain_errors():
        client, name = connect(settings), settings.model_name
        live = [client.get_model_version(name, number) for number in set(_aliases(client, name).values())]
        return {found.tags["feature_set_hash"] for found in live if "feature_set_hash" in found.tags}


def find_version(settings: Settings, tag: str, value: str) -> RegisteredVersion | None:
    """The newest version whose `tag` is `value`."""
    with plain_errors():
        client = connect(settings)
        versions = client.search_model_versions(f"name = '{settings.model_name}'")
        found = [version for version in versions if version.tags.get(tag) == value]
        return _registered(client, max(found, key=lambda version: int(version.version))) if found else None


def versions(settings: Settings, newest: int | None = None) -> list[RegisteredVersion]:
    """All versions or the newest, newest first, without verdicts (a tag names the outcome); metrics where a run is."""
    with plain_errors():
        client = connect(settings)
        found = client.search_model_versions(f"name = '{settings.model_name}'")
        numbers = sorted((int(version.version) for version in found), reverse=True)[:newest]
        whole = (client.get_model_version(settings.model_name, str(number)) for number in numbers)
        return [_described(version, _run_of(client, version), None) for version in whole]


def version(settings: Settings, number: str) -> RegisteredVersion:
    """One version by its number. Raises UnknownVersionError when there is none."""
    with plain_errors():
        client = connect(settings)
        try:
            found = client.get_model_version(settings.model_name, number)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                raise UnknownVersionError(f"{settings.model_name} has no version {number}") from None
            raise
        return _registered(client, found)


def set_tag(settings: Settings, version: str, tag: str, value: str) -> None:
    """A tag of a version, at most 5,000 characters."""
    with plain_errors():
        connect(settings).set_model_version_tag(settings.model_name, version, tag, value[:5000])


def set_challenger(settings: Settings, version: str) -> None:
    """Make `version` the one to be judged."""
    with plain_errors():
        _move(connect(settings), settings.model_name, CHALLENGER, version)


def record_verdict(settings: Settings, version: str, verdict: Verdict) -> None:
    """Keep `verdict` as an artifact of the version's run, its outcome and summary as tags of the version, and its words
    as the version's description, where a person looks first."""
    with plain_errors():
        client = connect(settings)
        run_id = str(client.get_model_version(settings.model_name, version).run_id)
        client.log_text(run_id, verdict.as_json(), VERDICT_FILE)
        client.set_model_version_tag(settings.model_name, version, "verdict", verdict.outcome)
        client.set_model_version_tag(settings.model_name, version, "verdict_summary", verdict.summary[:5000])
        words = "\n".join(f"- {reason}" for reason in verdict.reasons)
        client.update_model_version(settings.model_name, version, f"**{verdict.outcome}**\n\n{words}"[:5000])


def promote(settings: Settings, version: str, approved_by: str = "") -> None:
    """Make `version` the champion and keep the champion before it as `previous`; nothing to do when it already is.

    Its verdict must say `promote`, or `wait_for_person` or `not_comparable` and a person is named, and must have been
    reached against the champion of now; what was rolled back needs a name too. NotPromotableError otherwise
    (ApprovalNeededError when a name would do).
    """
    with plain_errors():
        client, name = connect(settings), settings.model_name
        incumbent = _aliases(client, name).get(CHAMPION)
        if incumbent == version:
            return
        found = _registered(client, client.get_model_version(name, version))
        _check_promotable(found, incumbent, approved_by)
        if approved_by:
            client.set_model_version_tag(name, version, "approved_by", approved_by)
        if incumbent:
            _move(client, name, PREVIOUS, incumbent, f"version {version} was promoted")
        _make_champion(client, name, version, f"approved by {approved_by}" if approved_by else "by its verdict")


def roll_back(settings: Settings, reason: str) -> tuple[str, str]:
    """Make `previous` the champion again, and the champion `previous`, with the reason as a tag: no run promotes it by
    itself from then on. Gives the version that takes traffic now, and the one that took it. RegistryError when there is
    nothing to go back to."""
    with plain_errors():
        client, name = connect(settings), settings.model_name
        given = _aliases(client, name)
        champion, previous = given.get(CHAMPION), given.get(PREVIOUS)
        if champion is None or previous is None:
            raise RegistryError(f"{name} has no champion before this one to go back to")
        if champion == previous:
            raise RegistryError(f"version {champion} of {name} is champion and previous: it was rolled back to already")
        client.set_model_version_tag(name, champion, ROLLED_BACK, f"{instant_text(datetime.now(UTC))}: {reason}")
        _make_champion(client, name, previous, f"version {champion} was rolled back: {reason}")
        _move(client, name, PREVIOUS, champion, f"rolled back: {reason}")
        return previous, champion


def _move(client: MlflowClient, name: str, alias: str, version: str, why: str = "") -> None:
    """Gives `version` the alias, which whatever had it loses, and writes that down as a tag of the version."""
    if _aliases(client, name).get(alias) == version:
        return
    client.set_registered_model_alias(name, alias, version)
    moved_at = instant_text(datetime.now(UTC)).translate(NO_PUNCTUATION)
    client.set_model_version_tag(name, version, f"{ALIAS_MOVE}{moved_at}", f"{alias}: {why}" if why else alias)


def _make_champion(client: MlflowClient, name: str, version: str, why: str) -> None:
    """The mark of a rollback goes last: whatever fails before, no run promotes the version by itself."""
    _move(client, name, CHAMPION, version, why)
    if ROLLED_BACK in client.get_model_version(name, version).tags:
        client.delete_model_version_tag(name, version, ROLLED_BACK)


def _check_promotable(found: RegisteredVersion, incumbent: str | None, approved_by: str) -> None:
    who, verdict = f"version {found.version} of {found.name}", found.verdict
    if verdict is None:
        raise NotPromotableError(f"{who} has no verdict; evaluate it first")
    against, about = verdict.evidence.get("champion_version"), verdict.evidence.get("challenger_version")
    if about != found.version or against != incumbent:
        raise NotPromotableError(
            f"the verdict on {who} compares version {about} with champion {against or 'none'}, "
            f"but the champion is now {incumbent or 'none'}; evaluate it again"
        )
    if verdict.outcome != "promote" and verdict.outcome not in RELEASABLE:
        raise NotPromotableError(f"{who} is not promoted: {verdict.summary}")
    if ROLLED_BACK in found.tags and not approved_by:
        raise ApprovalNeededError(f"{who} is not promoted: it was rolled back at {found.tags[ROLLED_BACK]}")
    if verdict.outcome in RELEASABLE and not approved_by:
        raise ApprovalNeededError(f"{who} is not promoted: {verdict.summary}")


def _under_alias(settings: Settings, alias: str) -> RegisteredVersion | None:
    with plain_errors():
        client = connect(settings)
        version = _aliases(client, settings.model_name).get(alias)
        return _registered(client, client.get_model_version(settings.model_name, version)) if version else None


def _aliases(client: MlflowClient, name: str) -> dict[str, str]:
    try:
        given = client.get_registered_model(name).aliases
        return {alias: str(version) for alias, version in given.items()}  # SQL stores give numbers, servers text
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return {}
        raise


def _registered(client: MlflowClient, found: ModelVersion) -> RegisteredVersion:
    run_id = str(found.run_id)
    return _described(found, client.get_run(run_id), _verdict(run_id, client))


def _described(found: ModelVersion, run: Run | None, verdict: Verdict | None) -> RegisteredVersion:
    return RegisteredVersion(
        name=found.name,
        version=str(found.version),
        run_id=str(found.run_id),
        tags=dict(found.tags),
        metrics=run.data.metrics if run else {},
        verdict=verdict,
        aliases=tuple(sorted(found.aliases)),
        params=run.data.params if run else {},
        registered_at=found.creation_timestamp / 1000,
        experiment_id=str(run.info.experiment_id) if run else "",
    )


def _run_of(client: MlflowClient, found: ModelVersion) -> Run | None:
    try:
        return client.get_run(str(found.run_id))
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


def _verdict(run_id: str, client: MlflowClient) -> Verdict | None:
    if VERDICT_FILE not in [file.path for file in client.list_artifacts(run_id)]:
        return None
    try:
        return Verdict.from_json(artifacts.load_text(f"runs:/{run_id}/{VERDICT_FILE}"))
    except ValueError as error:
        raise RegistryError(f"{VERDICT_FILE} of run {run_id} is damaged: {error}") from error
