"""The gate at work on registered models and a real lake."""

import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import mlflow
import pytest
from deltalake import DeltaTable
from mlflow import MlflowClient

from data_contracts import registry
from data_contracts.model_versions import Verdict
from data_contracts.settings import load
from ml import evaluate, train
from tests.ml import learnable_market as market
from tests.ml.learnable_market import Laboratory

FIRST, SECOND = market.FIRST_AS_OF, market.SECOND_AS_OF


def verdict_as_of(as_of: str) -> Verdict:
    assert evaluate.main(["--as-of", as_of]) == 0
    challenger = registry.challenger(load())
    assert challenger is not None
    assert challenger.verdict is not None
    return challenger.verdict


def test_a_first_model_is_let_through_with_the_words_that_say_why(
    add_version: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    add_version("good", FIRST, "challenger")
    verdict = verdict_as_of(FIRST.isoformat())
    assert verdict.outcome == "promote"
    assert verdict.reasons[-1] == (
        "there is no champion: it becomes champion because the interval of its calibration ratio meets the band and "
        "nothing better stands"
    )
    assert "better than the base rate" in verdict.reasons[0]
    assert "against no champion: promote" in capsys.readouterr().out


def test_a_verdict_rests_on_named_versions_a_window_and_its_rows(add_version: Callable[..., str]) -> None:
    add_version("good", FIRST, "challenger")
    evidence = verdict_as_of(FIRST.isoformat()).evidence
    assert evidence["challenger_version"] == "1"
    assert evidence["champion_version"] is None
    assert (evidence["holdout_start"], evidence["holdout_end"]) == (
        "2026-01-04T00:00:00+00:00",
        "2026-01-05T00:00:00+00:00",
    )
    assert evidence["rows"] == market.IMPRESSIONS_PER_DAY
    assert evidence["delta_versions"] == {"training_sets": 1, "holdouts": 1, "ad_impressions": 0}


def test_the_verdict_is_an_artifact_of_the_run_and_a_tag_of_the_version(
    add_version: Callable[..., str], store: MlflowClient
) -> None:
    version = add_version("good", FIRST, "challenger")
    verdict = verdict_as_of(FIRST.isoformat())
    found = store.get_model_version("ad_ctr", version)
    assert found.tags["verdict"] == "promote"
    assert found.tags["verdict_summary"] == verdict.summary
    text = mlflow.artifacts.load_text(f"runs:/{found.run_id}/verdict.json")
    assert json.loads(text)["outcome"] == "promote"


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("inverted", "misses the band"),
        ("uncalibrated", "misses the band"),
        ("class labels", "class labels, not probabilities"),
    ],
)
@pytest.mark.parametrize("champion", [True, False])
def test_a_bad_model_is_refused_first_or_not(
    add_version: Callable[..., str], kind: str, reason: str, champion: bool
) -> None:
    if champion:
        add_version("good", FIRST, "champion")
    add_version(kind, SECOND, "challenger")
    verdict = verdict_as_of(SECOND.isoformat())
    assert verdict.outcome == "refuse"
    assert reason in verdict.summary


def test_a_better_challenger_is_promoted_over_a_champion_that_is_off(add_version: Callable[..., str]) -> None:
    add_version("uncalibrated", FIRST, "champion")
    add_version("good", SECOND, "challenger")
    verdict = verdict_as_of(SECOND.isoformat())
    assert verdict.outcome == "promote"
    assert verdict.reasons[0].startswith("normalized entropy changes by -")
    assert verdict.evidence["champion_version"] == "1"


def test_the_same_model_again_is_no_worse_than_itself(add_version: Callable[..., str]) -> None:
    add_version("good", FIRST, "champion")
    add_version("good", SECOND, "challenger")
    verdict = verdict_as_of(SECOND.isoformat())
    assert verdict.outcome == "promote"
    assert "changes by +0.00% against the champion (95 % interval +0.00% to +0.00%)" in verdict.reasons[0]


def test_a_champion_that_has_seen_the_holdout_is_not_comparable(add_version: Callable[..., str]) -> None:
    add_version("good", SECOND, "champion")
    add_version("good", FIRST, "challenger")
    verdict = verdict_as_of(FIRST.isoformat())
    assert verdict.outcome == "not_comparable"
    assert "has seen data up to 2026-01-05T00:00:00+00:00" in verdict.summary


def test_a_champion_of_other_definitions_over_the_same_inputs_is_comparable(add_version: Callable[..., str]) -> None:
    add_version("other features", FIRST, "champion")
    add_version("good", SECOND, "challenger")
    assert verdict_as_of(SECOND.isoformat()).outcome != "not_comparable"


def test_a_champion_whose_inputs_the_holdout_lacks_is_not_comparable(add_version: Callable[..., str]) -> None:
    add_version("wider features", FIRST, "champion")
    add_version("good", SECOND, "challenger")
    verdict = verdict_as_of(SECOND.isoformat())
    assert verdict.outcome == "not_comparable"
    assert "the holdout lacks inputs of champion version 1: " in verdict.summary


def test_a_challenger_whose_inputs_the_holdout_lacks_is_not_judged_on_zeros(add_version: Callable[..., str]) -> None:
    add_version("wider features", SECOND, "challenger")
    verdict = verdict_as_of(SECOND.isoformat())
    assert verdict.outcome == "not_comparable"
    assert "the holdout lacks inputs of challenger version 1: " in verdict.summary
    assert "device_type_impressions_1d" in verdict.summary


@pytest.fixture
def own_lake(laboratory: Laboratory, store: MlflowClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the laboratory's lake that the mains use, to be written to."""
    shutil.copytree(laboratory.settings.home, tmp_path / "home")
    monkeypatch.setenv("CLICKLAKE_HOME", str(tmp_path / "home"))
    return load().lake


def rewrite_one_label(lake: Path, clicked: str) -> None:
    which = "impression_id = 'impression-000007'"
    DeltaTable(lake / "training_sets").update(updates={"clicked": clicked}, predicate=which)


def test_a_training_set_of_other_rows_than_trained_from_is_not_comparable(
    add_version: Callable[..., str], laboratory: Laboratory, own_lake: Path
) -> None:
    add_version("good", FIRST, "challenger")
    rewrite_one_label(own_lake, "1 - clicked")
    verdict = verdict_as_of(FIRST.isoformat())
    assert verdict.outcome == "not_comparable"
    trained_on, found = laboratory.checksums[FIRST], verdict.evidence["training_set_checksum_found"]
    assert f"than version 1 was trained from: checksum {found}, not {trained_on}; train again" in verdict.summary
    assert verdict.evidence["training_set_checksum"] == trained_on != found
    assert verdict.evidence["delta_versions"] == {"training_sets": 2, "holdouts": 1, "ad_impressions": 0}
    assert verdict.slices == ()


def test_a_training_set_built_again_of_the_same_rows_is_judged(
    add_version: Callable[..., str], laboratory: Laboratory, own_lake: Path
) -> None:
    add_version("good", FIRST, "challenger")
    rewrite_one_label(own_lake, "clicked")
    verdict = verdict_as_of(FIRST.isoformat())
    assert verdict.outcome == "promote"
    assert verdict.evidence["training_set_checksum_found"] == laboratory.checksums[FIRST]
    assert verdict.evidence["delta_versions"] == {"training_sets": 2, "holdouts": 1, "ad_impressions": 0}


def test_a_champion_is_not_judged_against_itself(
    add_version: Callable[..., str], store: MlflowClient, capsys: pytest.CaptureFixture[str]
) -> None:
    version = add_version("good", FIRST, "challenger")
    store.set_registered_model_alias("ad_ctr", "champion", version)
    assert evaluate.main(["--as-of", FIRST.isoformat()]) == 0
    assert "is the champion already" in capsys.readouterr().out


def test_another_as_of_than_the_challengers_is_an_error_of_one_line(
    add_version: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    add_version("good", FIRST, "challenger")
    assert evaluate.main(["--as-of", SECOND.isoformat()]) == 1
    assert capsys.readouterr().err == (
        "error: the challenger, version 1 of ad_ctr, was trained as of 2026-01-06T01:00:00+00:00, "
        "not 2026-01-07T01:00:00+00:00\n"
    )


def test_without_a_challenger_the_error_says_what_to_run(
    store: MlflowClient, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate.main(["--as-of", FIRST.isoformat()]) == 1
    assert capsys.readouterr().err == "error: ad_ctr has no challenger; run python -m ml.train first\n"


def test_a_champion_that_does_not_say_what_it_has_seen_is_an_error(
    add_version: Callable[..., str], store: MlflowClient, capsys: pytest.CaptureFixture[str]
) -> None:
    add_version("good", FIRST, "champion")
    add_version("good", SECOND, "challenger")
    store.delete_model_version_tag("ad_ctr", "1", "trained_through")
    assert evaluate.main(["--as-of", SECOND.isoformat()]) == 1
    assert capsys.readouterr().err == "error: version 1 of ad_ctr has no instant as its tag trained_through\n"


def test_a_feature_that_knew_the_labels_is_of_no_use_on_the_holdout(
    add_version: Callable[..., str], laboratory: Laboratory, own_lake: Path, store: MlflowClient
) -> None:
    """Clicks of the rows themselves have leaked into the training set: there the model looks perfect."""
    leaked = [
        dict(row, inputs=row["inputs"] | {"user_clicks_1d": 50.0 * row["clicked"]}) for row in market.impressions()
    ]
    mature = [row for row in leaked if row["timestamp"] + timedelta(hours=25) <= SECOND]
    shutil.rmtree(own_lake / "training_sets")
    market.write_training_set(load(), mature, SECOND)
    assert train.main(["--as-of", SECOND.isoformat()]) == 0
    version = registry.challenger(load())
    assert version is not None
    assert version.metrics["holdout_auc"] > 0.99
    verdict = verdict_as_of(SECOND.isoformat())
    assert verdict.outcome == "refuse"
