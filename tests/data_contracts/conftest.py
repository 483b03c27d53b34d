"""Versions of a model in a real MLflow store, without a model."""

from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from data_contracts import registry
from data_contracts.model_versions import Verdict
from data_contracts.settings import Settings


@pytest.fixture
def add_version(store: MlflowClient, tmp_path: Path) -> Callable[..., str]:
    """Registers a version with a run of its own; gives it."""

    def add(**tags: str) -> str:
        if not store.search_registered_models():
            store.create_registered_model("ad_ctr")
        experiment = store.get_experiment_by_name("ad_ctr")
        run = store.create_run(experiment.experiment_id)
        store.log_metric(run.info.run_id, "holdout_log_loss", 0.03)
        return str(store.create_model_version("ad_ctr", str(tmp_path), run.info.run_id, tags=tags).version)

    return add


def verdict(version: str, champion: str | None, outcome: str = "promote") -> Verdict:
    evidence = {"challenger_version": version, "champion_version": champion}
    return Verdict(outcome, ("no worse", "calibrated"), ({"column": "all", "clicks": 41},), evidence)


def aliases(store: MlflowClient) -> dict[str, str]:
    return {alias: str(version) for alias, version in store.get_registered_model("ad_ctr").aliases.items()}


@pytest.fixture
def two_champions(settings: Settings, add_version: Callable[..., str]) -> tuple[str, str]:
    """Version 1, then version 2, each promoted by its verdict."""
    one, two = add_version(), add_version()
    for version, before in ((one, None), (two, one)):
        registry.record_verdict(settings, version, verdict(version, before))
        registry.promote(settings, version)
    return one, two
