"""An MLflow store of a bench's own, in its home: without a server, and with nothing in the folder it is run from."""

import os

from mlflow import MlflowClient

from data_contracts.settings import Settings


def own_registry(settings: Settings) -> None:
    """From here on this process's MLflow is a new store in `settings.home`, its artifacts beside it."""
    uri = f"sqlite:///{settings.home / 'mlflow.db'}"
    os.environ["MLFLOW_TRACKING_URI"] = uri
    client = MlflowClient(tracking_uri=uri)
    client.create_experiment(settings.model_name, artifact_location=str(settings.home / "artifacts"))
