"""How fast a model goes stale: python -m ml.staleness --as-of 2019-11-30T23:00:00Z

From one training set, models of what was shown up to several days, each trained with conf's parameters and tested on
the days after: a table and a picture of normalized entropy and calibration ratio by age, in an MLflow run. Nothing is
registered. Age counts from the last impression that a model has seen; one in service is older by what its labels took
to mature and by its holdout.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from matplotlib.figure import Figure

from data_contracts.feature_set_files import feature_set_path, load_feature_set
from data_contracts.features import FeatureSet, training_set_id
from data_contracts.labels import ATTRIBUTION_WINDOW, DAY, HOUR, LATE_CLICK_ALLOWANCE
from data_contracts.mlflow_client import connect
from data_contracts.sections import Training
from data_contracts.settings import Settings
from data_contracts.tables import TRAINING_SETS
from ml.calibrate import probabilities
from ml.command import exit_code, parser
from ml.fitting import fitted_model
from ml.metrics import metrics
from ml.model_run import model_run
from ml.reports import log_file, log_table
from ml.splits import Slice, SliceError, rows_by_slice, train_start
from ml.staging import TrainingSet
from ml.training_sets import read_training_set, table_versions
from ml.trees import margins

MOST_AGE_DAYS = 7
LEAST_AGE_DAYS = 2
"""With one day to test on there is no going stale to be seen."""
MOST_MODELS = 7
SHOWN = ("normalized_entropy", "calibration_ratio")


@dataclass(frozen=True)
class Aged:
    """A model that has seen what was shown before `trained_through`, on the day that ends `age_days` later."""

    trained_through: str
    age_days: int
    rows: int
    clicks: int
    log_loss: float
    normalized_entropy: float
    calibration_ratio: float
    auc: float


def staleness(settings: Settings, as_of: datetime) -> str:
    """Train, test and log; gives the means by age for people. Raises RegistryError at once when MLflow is down."""
    connect(settings)
    feature_set = load_feature_set(feature_set_path(settings.features.feature_set))
    name = training_set_id(feature_set.hash, as_of)
    versions = table_versions(settings, [TRAINING_SETS.name])
    training_set = read_training_set(settings, versions, name, feature_set.feature_names)
    end = as_of.timestamp() - ATTRIBUTION_WINDOW - LATE_CLICK_ALLOWANCE
    ends = train_ends(float(training_set.timestamps[0]), end, settings.training)
    found = [
        each for train_end in ends for each in tested(training_set, feature_set, settings.training, train_end, end)
    ]
    with model_run(settings.model_name, f"staleness {name}", "How a model does on the days after it."):
        mlflow.set_tag("report", "staleness")
        mlflow.log_params(
            {"training_set_id": name, "training_set_checksum": training_set.checksum, "models": len(ends)}
        )
        mlflow.log_params(asdict(settings.training))
        log_table("staleness.csv", map(asdict, found))
        log_file("staleness.png", lambda path: draw_staleness(found, f"{settings.model_name} by age", path))
        mlflow.log_metrics({f"day_{age}_{key}": mean[key] for age, mean in by_age(found).items() for key in SHOWN})
    return summary(found, len(ends))


def train_ends(first: float, end: float, training: Training) -> list[float]:
    """Where training ends, whole days before `end`: at most MOST_MODELS, spread from the first that has a day to train
    on before its stop and calibration slices to the last that has LEAST_AGE_DAYS to be tested on. Raises SliceError
    when there is none."""
    needed = DAY + (training.early_stopping_hours + training.calibration_hours) * HOUR
    latest = end - LEAST_AGE_DAYS * DAY
    choices = int((latest - first - needed) // DAY) + 1
    if choices < 1:
        least = needed / DAY + LEAST_AGE_DAYS
        raise SliceError(
            f"the training set covers {(end - first) / DAY:.2f} days; a staleness report needs at least {least:.2f}: "
            f"{needed / DAY:.2f} to train, stop and calibrate on and {LEAST_AGE_DAYS} to test on"
        )
    days = np.linspace(choices - 1, 0, min(choices, MOST_MODELS)).round()
    return [latest - float(day) * DAY for day in days]


def tested(
    training_set: TrainingSet, feature_set: FeatureSet, training: Training, train_end: float, end: float
) -> Iterator[Aged]:
    """The model of what was shown before `train_end`, on each of the days after it."""
    calibration = train_end - training.calibration_hours * HOUR
    stop = calibration - training.early_stopping_hours * HOUR
    first = float(training_set.timestamps[0])
    slices = {
        "train": Slice(train_start(first, stop, training), stop),
        "stop": Slice(stop, calibration),
        "calibration": Slice(calibration, train_end),
    }
    days = min(MOST_AGE_DAYS, round((end - train_end) / DAY))
    tests = {f"{day} days old": Slice(train_end + (day - 1) * DAY, train_end + day * DAY) for day in range(1, days + 1)}
    rows = rows_by_slice(training_set.timestamps, training_set.labels, slices | tests)
    model = fitted_model(training_set, rows, feature_set, training)
    for age, name in enumerate(tests, 1):
        labels, features = training_set.labels[rows[name]], training_set.features[rows[name]]
        numbers = metrics(
            labels, probabilities(model.calibration, margins(model.trees, features, feature_set.base_place))
        )
        kept = {key: numbers[key] for key in ("log_loss", *SHOWN, "auc")}
        through = str(np.datetime64(int(train_end), "s")) + "Z"
        yield Aged(through, age, int(numbers["rows"]), int(numbers["clicks"]), **kept)


def by_age(found: Sequence[Aged]) -> Mapping[int, Mapping[str, float]]:
    """Means over the models by age, each model counting as one; `models` says how many there are."""
    means = {}
    for age in sorted({each.age_days for each in found}):
        chosen = [each for each in found if each.age_days == age]
        means[age] = {key: float(np.mean([getattr(each, key) for each in chosen])) for key in SHOWN}
        means[age]["models"] = float(len(chosen))
    return means


def draw_staleness(found: Sequence[Aged], title: str, path: Path) -> None:
    """A PNG: a thin line for each model and a thick one for their mean, by age in days."""
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    means = by_age(found)
    for axes, key in zip(figure.subplots(1, 2), SHOWN, strict=True):
        for through in sorted({each.trained_through for each in found}):
            own = [each for each in found if each.trained_through == through]
            axes.plot([each.age_days for each in own], [getattr(each, key) for each in own], color="0.75", linewidth=1)
        axes.plot(list(means), [mean[key] for mean in means.values()], color="C0", linewidth=2.5, marker="o")
        axes.set(xlabel="age of the model (days)", ylabel=key.replace("_", " "), xticks=list(means))
        axes.grid(color="0.92")
    right = figure.axes[1]
    right.axhline(1, color="0.6", linestyle="--", linewidth=1)
    models = len({each.trained_through for each in found})
    figure.suptitle(f"{title}: {models} models (thin), their mean (thick)", fontsize=10)
    figure.savefig(path, dpi=120)


def summary(found: Sequence[Aged], models: int) -> str:
    """The means in a few lines for a person."""
    lines = [f"{models} models by age", f"{'days old':>8} {'models':>6} {'NE':>7} {'calibration':>12}"]
    for age, mean in by_age(found).items():
        numbers: tuple[Any, ...] = (age, mean["models"], mean["normalized_entropy"], mean["calibration_ratio"])
        lines.append("{:8d} {:6.0f} {:7.4f} {:12.3f}".format(*numbers))
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    as_of = parser(__doc__).parse_args(arguments).as_of
    return exit_code(lambda settings: staleness(settings, as_of))


if __name__ == "__main__":
    sys.exit(main())
