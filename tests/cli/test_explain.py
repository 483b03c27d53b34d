"""What a person reads of an explanation; the explanation itself is in tests/ml."""

import io
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from cli import explain as explaining
from cli.errors import CommandError
from cli.explain import explain
from data_contracts.model_versions import RegisteredVersion, Verdict
from data_contracts.registry import RegistryError
from data_contracts.settings import Settings
from ml.explain import Contribution, Explanation, ExplanationError

AT = datetime(2026, 1, 6, 2, tzinfo=UTC)
VERSION = RegisteredVersion(
    "ad_ctr", "3", "run", {"training_set_id": "abc-20260106"}, {}, Verdict("promote", ("no worse",), (), {}), (),
    {"data_version.labels": "7", "data_version.ad_impressions": "5", "max_depth": "3"},
)  # fmt: skip
PARTS = (
    Contribution("ad_ctr_7d", "Smoothed CTR of the ad over a week.", 0.0375, 0.1823),
    Contribution("hour", "Hour of the day, UTC.", 14.0, -0.0513),
)


def row(**columns: Any) -> dict[str, Any]:
    return {
        "probability": 0.0376543, "model_version": "3", "predicted_at": AT, "source": "model", "user_id": "u-1",
        "ad_id": "ad-7", "position": 2, "impression_id": "i-1", "request_id": None, "experiment": "none",
        "variant": "none", "counts_as_of": AT, "origin": "serving-0/1.jsonl:4",
    } | columns  # fmt: skip


def said(settings: Settings, monkeypatch: pytest.MonkeyPatch, found: Explanation) -> list[str]:
    console = Console(file=io.StringIO(), width=120)
    monkeypatch.setattr(explaining, "explained", lambda *_: found)
    explain(settings, console, "p-1")
    return [" ".join(line.split()) for line in console.file.getvalue().splitlines()]


def test_a_prediction_is_explained_by_what_each_feature_adds_and_what_the_model_rests_on(settings, monkeypatch):
    assert said(settings, monkeypatch, Explanation(row(), VERSION, -3.4, PARTS, 0.0376543)) == [
        "0.0376543, given by version 3 at 2026-01-06T02:00:00.000000Z (source: model)",
        "user_id u-1, ad_id ad-7, position 2, impression_id i-1, experiment none, variant none",
        "computed again from the logged inputs it is the same, bit for bit",
        "feature value log-odds which what it is",
        "an average row -3.4000 where the trees start",
        "ad_ctr_7d 0.0375 +0.1823 raises the odds by 20.0% Smoothed CTR of the ad over a week.",
        "hour 14 -0.0513 lowers the odds by 5.0% Hour of the day, UTC.",
        "counts as of 2026-01-06T02:00:00.000000Z; logged as serving-0/1.jsonl:4",
        "trained from abc-20260106, tables at versions: ad_impressions 5, labels 7",
        "decided by: promote: no worse",
        f"{settings.mlflow_url}/#/models/ad_ctr/versions/3",
    ]


def test_a_probability_that_is_not_reproduced_is_told(settings, monkeypatch):
    lines = said(settings, monkeypatch, Explanation(row(), VERSION, -3.4, PARTS, 0.05))
    assert "COMPUTED AGAIN FROM THE LOGGED INPUTS IT IS 0.05" in lines


def test_the_prior_is_told_for_what_it_is(settings, monkeypatch):
    lines = said(settings, monkeypatch, Explanation(row(source="prior", model_version="none")))
    assert lines[0].startswith("0.0376543, given by the prior at ")
    assert lines[2].startswith("no model answered: the probability is the smoothed CTR of the counts")
    assert len(lines) == 3


@pytest.mark.parametrize("error", [ExplanationError("no prediction p-1"), RegistryError("MLflow does not answer")])
def test_what_cannot_be_explained_is_one_line(settings, monkeypatch, error):
    def fails(*_: object) -> Explanation:
        raise error

    monkeypatch.setattr(explaining, "explained", fails)
    with pytest.raises(CommandError, match=str(error)):
        explain(settings, Console(file=io.StringIO()), "p-1")
