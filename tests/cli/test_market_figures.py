"""The figures against the truth; those of a whole market are in tests/end_to_end."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.market_figures import figures, judged_holdout, true_probabilities
from data_contracts.model_versions import RegisteredVersion
from data_contracts.settings import Settings
from ml.training_sets import TrainingSetError

VERSION = RegisteredVersion("ad_ctr", "3", "run", {}, {}, None, (), {})


@pytest.fixture
def truth(settings: Settings) -> Path:
    folder = settings.home / "market" / "truth"
    folder.mkdir(parents=True)
    for day, rows in (("1", {"a": 0.1, "b": 0.2}), ("2", {"c": 0.3})):
        pq.write_table(
            pa.table({"impression_id": list(rows), "probability": list(rows.values())}), folder / f"{day}.parquet"
        )
    return folder


def test_probabilities_come_in_the_order_asked_from_all_days(settings: Settings, truth: Path) -> None:
    ids = np.array(["c", "a", "b"], object)
    assert true_probabilities(settings, ids).tolist() == [0.3, 0.1, 0.2]


def test_an_impression_that_the_market_does_not_know_is_said(settings: Settings, truth: Path) -> None:
    with pytest.raises(TrainingSetError, match="knows 1 of the 2 impressions"):
        true_probabilities(settings, np.array(["a", "posted"], object))


def test_calibration_is_of_the_sums_and_1_is_right() -> None:
    found = figures(np.array([0.1, 0.3]), np.array([0.3, 0.3]))
    assert (found.rows, found.calibration) == (2, pytest.approx(1.5))
    assert found.least_entropy < 1 < found.entropy


def test_without_a_verdict_on_a_holdout_there_is_nothing_to_show(settings: Settings) -> None:
    with pytest.raises(TrainingSetError, match="version 3 was not judged on a holdout"):
        judged_holdout(settings, VERSION, ())
