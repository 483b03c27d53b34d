"""A learnable market in a real lake, and a real MLflow store with models good and bad to make versions of."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from data_contracts.calibration import Platt
from data_contracts.feature_set_files import load_feature_set
from data_contracts.features import training_set_id
from data_contracts.settings import Settings, load
from ml.fitting import fitted_model
from ml.model_run import FittedModel, log_model, model_run, signature
from ml.splits import rows_by_slice
from ml.staging import TrainingSet
from ml.train import instant
from ml.training_sets import read_training_set, table_versions
from tests.ml import learnable_market as market
from tests.ml.learnable_market import Laboratory

HERE = Path(__file__).resolve().parent
MODEL_NAME = "ad_ctr"


def fitted(settings: Settings, training_set: TrainingSet, as_of: datetime) -> FittedModel:
    slices = market.training_slices(settings, as_of)
    rows = rows_by_slice(training_set.timestamps, training_set.labels, slices)
    return fitted_model(training_set, rows, market.feature_set(), settings.training)


def training_set_as_of(settings: Settings, as_of: datetime) -> TrainingSet:
    versions = table_versions(settings, ["training_sets"])
    name = training_set_id(market.feature_set().hash, as_of)
    return read_training_set(settings, versions, name, market.feature_set().feature_names)


def bad_models(
    settings: Settings, training_set: TrainingSet, good: FittedModel, folder: Path
) -> dict[str, FittedModel]:
    other = folder / "small_features.py"
    other.write_text(
        market.feature_set().path.read_text().replace("PRIOR_IMPRESSIONS = 200.0", "PRIOR_IMPRESSIONS = 2.0")
    )
    wider = folder / "wider.py"
    wider.write_text(market.feature_set().path.read_text().replace('("user_id",))', '("user_id",), ("device_type",))'))
    inverted = replace(training_set, labels=(1 - training_set.labels).astype(np.int8))
    shifted = Platt(good.calibration.slope, good.calibration.intercept + 0.7)
    return {
        "inverted": fitted(settings, inverted, market.FIRST_AS_OF),
        "uncalibrated": replace(good, calibration=shifted),
        "other features": replace(good, feature_set=load_feature_set(other)),
        "wider features": replace(good, feature_set=load_feature_set(wider)),
    }


@pytest.fixture(scope="session")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Laboratory:
    """Made once: a store's schema and a logged model cost seconds."""
    folder = tmp_path_factory.mktemp("laboratory")
    settings = load({"CLICKLAKE_HOME": str(folder / "home"), "CLICKLAKE_CONF": str(market.TEST_CONF)})
    market.write_market(settings)
    training_sets = {as_of: training_set_as_of(settings, as_of) for as_of in (market.FIRST_AS_OF, market.SECOND_AS_OF)}
    training_set = training_sets[market.FIRST_AS_OF]
    good = fitted(settings, training_set, market.FIRST_AS_OF)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'store.db'}")
        mlflow.set_tracking_uri(os.environ["MLFLOW_TRACKING_URI"])
        mlflow.create_experiment(MODEL_NAME, artifact_location=str(folder / "artifacts"))
        models = {}
        for kind, model in {"good": good, **bad_models(settings, training_set, good, folder)}.items():
            with model_run(MODEL_NAME, kind):
                models[kind] = log_model(model)
        with model_run(MODEL_NAME, "class labels"):
            models["class labels"] = mlflow.pyfunc.log_model(
                name="model",
                python_model=str(HERE / "class_label_model.py"),
                artifacts={"feature_set": str(market.feature_set().path)},
                signature=signature(market.feature_set()),
                input_example=pd.DataFrame([dict.fromkeys(market.feature_set().input_names, 1.0)]),
                pip_requirements=["mlflow"],
            ).model_uri
    checksums = {as_of: found.checksum for as_of, found in training_sets.items()}
    return Laboratory(settings, folder / "store.db", training_set, good, checksums, models)


@pytest.fixture
def store(laboratory: Laboratory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """A copy of the laboratory's store without a version, and an environment in which the mains use it and its lake."""
    shutil.copy(laboratory.store, tmp_path / "store.db")
    uri = f"sqlite:///{tmp_path / 'store.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("CLICKLAKE_HOME", str(laboratory.settings.home))
    monkeypatch.setenv("CLICKLAKE_CONF", str(market.TEST_CONF))
    mlflow.set_tracking_uri(uri)
    return MlflowClient(tracking_uri=uri)


@pytest.fixture
def add_version(laboratory: Laboratory, store: MlflowClient) -> Callable[..., str]:
    """Registers one of the laboratory's models as trained as of `as_of`, under `alias`; gives the version."""

    def add(kind: str, as_of: datetime, alias: str) -> str:
        if not store.search_registered_models():
            store.create_registered_model(MODEL_NAME)
        slices = market.training_slices(laboratory.settings, as_of)
        tags = {
            "as_of": as_of.isoformat(),
            "training_set_id": training_set_id(market.feature_set().hash, as_of),
            "training_set_checksum": laboratory.checksums[as_of],
            "trained_through": instant(slices["calibration"].end),
            "holdout_start": instant(slices["holdout"].start),
            "holdout_end": instant(slices["holdout"].end),
        }
        experiment = store.get_experiment_by_name(MODEL_NAME)
        run = store.create_run(experiment.experiment_id)
        version = store.create_model_version(MODEL_NAME, laboratory.models[kind], run.info.run_id, tags=tags)
        store.set_registered_model_alias(MODEL_NAME, alias, str(version.version))
        return str(version.version)

    return add
