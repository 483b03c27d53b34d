"""What MLflow keeps of the registered model: its versions with their verdicts, and which alias names which."""

from dataclasses import dataclass

from mlflow import MlflowClient, artifacts
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.exceptions import MlflowException

from data_contracts.mlflow_client import RegistryError, connect, plain_errors
from data_contracts.model_versions import CHALLENGER, CHAMPION, VERDICT_FILE, RegisteredVersion, Verdict
from data_contracts.settings import Settings

CANARY_SHARE = "canary_share"
"""Tag of the registered model: which share of users the canary answers."""


class UnknownVersionError(RegistryError):
    """There is no such version of the model."""


@dataclass(frozen=True)
class Routing:
    """The version under each alias, and the share of users, 0 to 1, that the canary answers."""

    aliases: dict[str, str]
    canary_share: float = 0.0


def routing(settings: Settings) -> Routing:
    """Who answers whom, in one call: cheap enough to ask every second."""
    with plain_errors():
        found = registered_model(connect(settings), settings.model_name)
        if found is None:
            return Routing({})
        return Routing(_named(found), _share(found.tags.get(CANARY_SHARE, "")))


def aliases(settings: Settings) -> dict[str, str]:
    """The version under each alias."""
    return routing(settings).aliases


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
        live = [client.get_model_version(name, number) for number in set(aliases_of(client, name).values())]
        return {found.tags["feature_set_hash"] for found in live if "feature_set_hash" in found.tags}


def find_version(settings: Settings, tag: str, value: str) -> RegisteredVersion | None:
    """The newest version whose `tag` is `value`."""
    with plain_errors():
        client = connect(settings)
        versions = client.search_model_versions(f"name = '{settings.model_name}'")
        found = [version for version in versions if version.tags.get(tag) == value]
        return registered(client, max(found, key=lambda version: int(version.version))) if found else None


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
        return registered(client, known_version(client, settings.model_name, number))


def _under_alias(settings: Settings, alias: str) -> RegisteredVersion | None:
    with plain_errors():
        client = connect(settings)
        version = aliases_of(client, settings.model_name).get(alias)
        return registered(client, client.get_model_version(settings.model_name, version)) if version else None


def set_tag(settings: Settings, version: str, tag: str, value: str) -> None:
    """A tag of a version, at most 5,000 characters."""
    with plain_errors():
        connect(settings).set_model_version_tag(settings.model_name, version, tag, value[:5000])


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


def aliases_of(client: MlflowClient, name: str) -> dict[str, str]:
    """The version under each alias of the model `name`; none where there is no such model yet."""
    found = registered_model(client, name)
    return {} if found is None else _named(found)


def known_version(client: MlflowClient, name: str, number: str) -> ModelVersion:
    """One version by its number. Raises UnknownVersionError when there is none."""
    try:
        return client.get_model_version(name, number)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise UnknownVersionError(f"{name} has no version {number}") from None
        raise


def registered_model(client: MlflowClient, name: str) -> RegisteredModel | None:
    """The model itself, once it has a version."""
    try:
        return client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise


def _named(model: RegisteredModel) -> dict[str, str]:
    return {alias: str(version) for alias, version in model.aliases.items()}  # SQL stores give numbers, servers text


def _share(text: str) -> float:
    """0, nobody, where it is no share."""
    try:
        found = float(text)
    except ValueError:
        return 0.0
    return found if 0 < found <= 1 else 0.0


def registered(client: MlflowClient, found: ModelVersion) -> RegisteredVersion:
    """A version with its run and its verdict."""
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
