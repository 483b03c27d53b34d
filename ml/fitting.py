"""Fits a whole model: trees on the train and stop rows, a calibration on the calibration rows."""

from collections.abc import Mapping

from data_contracts.features import FeatureSet
from data_contracts.sections import Training
from ml.calibration_choice import chosen_calibration
from ml.model_run import FittedModel
from ml.splits import Rows
from ml.staging import TrainingSet
from ml.trees import fitted_trees, margins, matrices


def fitted_model(
    training_set: TrainingSet, rows: Mapping[str, Rows], feature_set: FeatureSet, training: Training
) -> FittedModel:
    """Trees from the train and stop rows, calibration from the calibration rows; nothing else is looked at."""
    given = matrices(training_set, rows["train"], rows["stop"], training.keep_rate, feature_set.base_place)
    trees = fitted_trees(given, training, feature_set.directions)
    calibration_rows = rows["calibration"]
    found = margins(trees, training_set.features[calibration_rows], feature_set.base_place)
    calibration, candidates = chosen_calibration(found, training_set.labels[calibration_rows])
    return FittedModel(feature_set, trees, calibration, candidates)
