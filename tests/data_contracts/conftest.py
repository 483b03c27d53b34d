"""Versions of a model in a real MLflow store, without a model."""

from collections.abc import Callable

import pytest
from mlflow import MlflowClient

from data_contracts import registry
from data_contracts.model_versions import Verdict
from data_contracts.settings import Settings


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
