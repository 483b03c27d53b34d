"""The market of the training bench: its rows are read, every slice has clicks, and there is something to learn."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.wide_market import AS_OF, FEATURES, write_feature_set, write_market
from data_contracts.settings import Features, Settings
from ml.train import given_rows


def test_a_market_of_few_rows_has_all_that_training_reads(settings: Settings, tmp_path: Path) -> None:
    write_feature_set(tmp_path / "wide.py")
    training = replace(settings.training, warmup_hours=0)
    settings = replace(settings, features=Features(str(tmp_path / "wide.py")), training=training)
    write_market(settings, 3000)
    given = given_rows(settings, AS_OF)
    training_set, rows = given.training_set, given.rows
    assert training_set.features.shape == (3000, FEATURES)
    assert [round((part.stop - part.start) / 3000 * 7) for part in rows.values()] == [4, 1, 1, 1]
    assert 0.03 < training_set.labels.mean() < 0.08
    told = np.corrcoef(training_set.features[:, 0], training_set.labels)[0, 1]
    assert told > 0.05
    assert list(given.versions.values()) == [0] * 5
