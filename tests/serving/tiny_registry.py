"""A registry of tiny models, sound and broken, whose aliases may be moved at will."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data_contracts.feature_set_files import load_feature_set
from data_contracts.prior import Prior, Shown

HERE = Path(__file__).parent
FEATURE_SET = HERE / "tiny_features.py"
FAULTS = ("", "", "does not load", "gives NaN", "fails in slot 13")
"""How version 1, 2, ... of the registry is broken; the sound ones differ in scale."""
WITH_PRIOR = 2
PRIOR = Prior(Shown(100, 10_000), {"spring": Shown(30, 1000)}, {"shoes": Shown(20, 200)}, {"shoes": "spring"})
"""What version 2 brings along in its bundle."""


@dataclass(frozen=True)
class Registry:
    """A registry whose alias may be moved at will, without a verdict."""

    uri: str
    name: str = "ad_ctr"

    def promote(self, version: int | None, alias: str = "champion") -> None:
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=self.uri)
        if version is None:
            client.delete_registered_model_alias(self.name, alias)
        else:
            client.set_registered_model_alias(self.name, alias, str(version))

    def share(self, share: float) -> None:
        """Of users, the canary's."""
        from mlflow import MlflowClient

        MlflowClient(tracking_uri=self.uri).set_registered_model_tag(self.name, "canary_share", repr(share))

    def aliases(self) -> dict[str, str]:
        from mlflow import MlflowClient

        given = MlflowClient(tracking_uri=self.uri).get_registered_model(self.name).aliases
        return {alias: str(version) for alias, version in given.items()}

    def tags(self, version: int) -> dict[str, str]:
        from mlflow import MlflowClient

        return dict(MlflowClient(tracking_uri=self.uri).get_model_version(self.name, str(version)).tags)


def fill(folder: Path, file: Path = FEATURE_SET, faults: Sequence[str] = FAULTS) -> None:
    """Makes store.db in `folder`, with one version a fault, with the signature that training gives a model of these
    definitions."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    import mlflow
    import pandas as pd

    from ml.model_run import signature

    feature_set = load_feature_set(file)
    mlflow.set_tracking_uri(f"sqlite:///{folder / 'store.db'}")
    prior = folder / "prior.json"
    prior.write_text(PRIOR.as_json())
    experiment = mlflow.create_experiment("ad_ctr", artifact_location=str(folder / "artifacts"))
    for number, fault in enumerate(faults, 1):
        traits = folder / "traits.json"
        traits.write_text(json.dumps({"scale": float(number), "fault": fault}))
        priors = {"prior": str(prior)} if number == WITH_PRIOR else {}
        with mlflow.start_run(experiment_id=experiment):
            mlflow.log_metrics({"holdout_log_loss": 0.03, "holdout_normalized_entropy": 0.99})
            mlflow.pyfunc.log_model(
                name="model",
                python_model=str(HERE / "tiny_model.py"),
                artifacts={"traits": str(traits), "feature_set": str(file), **priors},
                signature=signature(feature_set),
                input_example=pd.DataFrame([dict.fromkeys(feature_set.input_names, 1.0)]),
                pip_requirements=["mlflow"],
                registered_model_name="ad_ctr",
            )
