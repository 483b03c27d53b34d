"""The model registry -> model_metadata: what MLflow knows of each version, beside the predictions it made."""

import argparse
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pyspark.sql import DataFrame

from data_contracts import registry
from data_contracts.model_versions import RegisteredVersion
from data_contracts.registry import RegistryError
from data_contracts.sections import parsed_instant
from data_contracts.tables import MODEL_METADATA
from spark_jobs.session import JobError, Lake, run_job

DATA_VERSION = "data_version."


def metadata(version: RegisteredVersion) -> dict[str, Any]:
    """One version as a row of model_metadata."""
    tags = version.tags
    return {
        "model_id": version.name,
        "version": version.version,
        "run_id": version.run_id,
        "trained_at": datetime.fromtimestamp(version.registered_at, UTC),
        "as_of": _instant(tags, "as_of"),
        "trained_through": _instant(tags, "trained_through"),
        **{name: tags.get(name) for name in ("training_set_id", "training_set_checksum", "feature_set_hash")},
        "data_versions": {
            name.removeprefix(DATA_VERSION): value
            for name, value in version.params.items()
            if name.startswith(DATA_VERSION)
        },
        "metrics": dict(version.metrics),
        **{name: tags.get(name) for name in ("verdict", "verdict_summary")},
        "aliases": ", ".join(version.aliases),
        "alias_moves": version.alias_moves,
    }


def _instant(tags: Mapping[str, str], name: str) -> datetime | None:
    """What a tag states; None for one that is not there or was written over by hand."""
    try:
        return parsed_instant(tags[name])
    except (KeyError, ValueError):
        return None


def _content(versions: DataFrame) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = versions.toArrow().to_pylist(maps_as_pydicts="strict")
    return sorted(rows, key=lambda row: (row["model_id"], row["version"]))


def main(lake: Lake, as_of: datetime, arguments: argparse.Namespace) -> str:
    """Bring model_metadata to what the registry says now, whatever `as_of`; without a change nothing is written."""
    try:
        versions = registry.versions(lake.settings)
    except RegistryError as error:
        raise JobError(str(error)) from None
    rows = [metadata(version) for version in versions]
    if not rows:
        return "model_metadata: no version is registered yet"
    present = lake.read(MODEL_METADATA)
    found = lake.spark.createDataFrame([tuple(row.values()) for row in rows], present.schema)
    if _content(found) == _content(present):
        return f"model_metadata: nothing new of {len(rows)} versions"
    lake.overwrite(MODEL_METADATA, found)
    return f"model_metadata: {len(rows)} versions"


if __name__ == "__main__":
    run_job(main, argparse.ArgumentParser("mirror_models", description=__doc__))
