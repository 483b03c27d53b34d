"""`clicklake model` as a person meets it, on a real MLflow store."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from rich.console import Console
from typer.testing import CliRunner

from cli.errors import CommandError
from cli.model_command import app
from cli.models import (
    end_canary,
    promote,
    roll_back,
    set_shadow,
    show_version,
    show_versions,
    start_canary,
)
from data_contracts import registry
from data_contracts.model_versions import Outcome, Verdict
from data_contracts.settings import Settings

SLICES = (
    {"column": "device_type", "value": "tv", "rows": 20, "clicks": 0, "calibration_ratio": None},
    {"column": "device_type", "value": "phone", "rows": 3_000, "clicks": 40, "calibration_ratio": 1.2},
    {"column": "all", "value": "all", "rows": 3_020, "clicks": 40, "calibration_ratio": 1.19},
)


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=200)


@pytest.fixture
def judged(store: MlflowClient, settings: Settings, tmp_path: Path) -> Callable[..., str]:
    """Registers a version with a verdict against the champion of now; gives its number."""

    def judged(outcome: Outcome = "promote") -> str:
        if not store.search_registered_models():
            store.create_registered_model("ad_ctr")
        run = store.create_run(store.get_experiment_by_name("ad_ctr").experiment_id)
        store.log_metric(run.info.run_id, "holdout_normalized_entropy", 0.87654)
        tags = {"as_of": "2026-01-10T00:00:00+00:00"}
        version = str(store.create_model_version("ad_ctr", str(tmp_path), run.info.run_id, tags=tags).version)
        bounds = {"calibration_ratio_low": 0.9, "calibration_ratio_high": None}
        evidence = {"challenger_version": version, "champion_version": registry.champion_version(settings)}
        slices = tuple(row | bounds for row in SLICES)
        registry.record_verdict(settings, version, Verdict(outcome, ("no worse", "calibrated"), slices, evidence))
        return version

    return judged


def said(console: Console) -> list[list[str]]:
    return [line.split() for line in console.file.getvalue().splitlines()]


def test_versions_are_listed_with_alias_verdict_and_numbers(settings, store, judged, console):
    for outcome in ("promote", "promote", "refuse"):
        version = judged(outcome)
        if outcome == "promote":
            registry.promote(settings, version)
    registry.roll_back(settings, "off on tablets")
    show_versions(settings, console, 20)
    head, *lines = said(console)
    assert " ".join(head) == "version alias as of verdict log loss normalized entropy calibration ratio AUC"
    as_of = "2026-01-10T00:00:00+00:00"
    assert lines == [
        ["3", as_of, "refuse", "0.8765"],
        ["2", "previous", "(rolled", "back)", as_of, "promote", "0.8765"],
        ["1", "champion", as_of, "promote", "0.8765"],
    ]


def test_without_a_version_it_is_said_what_makes_one(settings, store, console):
    show_versions(settings, console, 20)
    assert console.file.getvalue() == "no version of ad_ctr yet: the DAG train_ad_ctr registers one\n"


def test_a_version_is_shown_with_its_reasons_and_slices_those_with_clicks_first(settings, judged, console):
    show_version(settings, console, judged())
    lines = [" ".join(line) for line in said(console)]
    assert lines[0] == "ad_ctr version 1"
    assert lines[1] == f"{settings.mlflow_url}/#/models/ad_ctr/versions/1"
    assert "as_of: 2026-01-10T00:00:00+00:00" in lines
    assert "normalized entropy on its holdout: 0.8765" in lines
    assert lines[-8:] == [
        "", "promote", "- no worse", "- calibrated",
        "slice rows clicks calibration ratio 95 % interval",
        "all 3,020 40 1.190 0.900 to unlimited",
        "device_type = phone 3,000 40 1.200 0.900 to unlimited",
        "device_type = tv 20 0 unlimited 0.900 to unlimited",
    ]  # fmt: skip


def test_a_promotion_and_a_rollback_say_who_takes_traffic_now(settings, judged, console):
    for _ in range(2):
        promote(settings, console, judged(), "")
    promote(settings, console, "2", "")
    roll_back(settings, console, "off on tablets")
    assert console.file.getvalue().splitlines() == [
        "version 1 of ad_ctr is the champion now",
        "version 2 of ad_ctr is the champion now; version 1 is kept as previous",
        "version 2 is the champion already",
        "version 1 of ad_ctr is the champion again; version 2 is previous",
    ]


def test_a_refusal_says_the_verdict_and_whether_a_name_would_do(settings, judged, console):
    with pytest.raises(CommandError, match=r"^version 1 of ad_ctr is not promoted: refuse: no worse; calibrated$"):
        promote(settings, console, judged("refuse"), "Ada")
    with pytest.raises(CommandError, match=r"wait_for_person: .*; whoever has looked at it adds --approved-by NAME$"):
        promote(settings, console, judged("wait_for_person"), "")
    promote(settings, console, "2", "Ada")
    assert registry.champion_version(settings) == "2"


def test_what_cannot_be_done_is_one_line(settings, store, console, monkeypatch):
    with pytest.raises(CommandError, match="ad_ctr has no champion before this one to go back to"):
        roll_back(settings, console, "off")
    with pytest.raises(CommandError, match="--reason is empty: say why"):
        roll_back(settings, console, " ")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    with pytest.raises(CommandError, match=r"MLflow does not answer at 127\.0\.0\.1:25000 .*; is it running\?"):
        show_versions(settings, console, 20)


def test_a_canary_and_a_shadow_are_said_to_begin_and_to_end(settings, store, judged, console):
    registry.promote(settings, judged())
    start_canary(settings, console, judged(), 0.05, "")
    set_shadow(settings, console, "1", "shadow_old")
    set_shadow(settings, console, "2", "shadow_old")
    set_shadow(settings, console, "1", "shadow_old")
    show_version(settings, console, "2")
    end_canary(settings, console, "seen enough")
    set_shadow(settings, console, "", "shadow_old")
    text = console.file.getvalue()
    for words in (
        "version 2 of ad_ctr answers 5.0% of users, the champion all others",
        "version 1 of ad_ctr scores beside what others answer, as shadow_old\n",
        "version 1 of ad_ctr scores beside what others answer, as shadow_old, in place of version 2\n",
        "became canary: 0.05 of users, by its verdict",
        "version 2 is the canary no more; the champion answers all users",
        "version 1 is shadow_old no more",
    ):
        assert words in text
    with pytest.raises(CommandError, match="has no canary"):
        end_canary(settings, console, "again")
    with pytest.raises(CommandError, match="no version has the alias shadow_old"):
        set_shadow(settings, console, "", "shadow_old")
    with pytest.raises(CommandError, match=r"rolled back at .*: seen enough; .* adds --approved-by NAME"):
        start_canary(settings, console, "2", 0.05, "")
    with pytest.raises(CommandError, match="above 0 and at most"):
        start_canary(settings, console, "2", 5, "")


@pytest.mark.parametrize("words", [["canary"], ["canary", "2", "--end", "why"], ["shadow"], ["shadow", "2", "--end"]])
def test_a_command_that_says_neither_start_nor_end_is_refused(words):
    told = CliRunner().invoke(app, words)
    assert told.exit_code != 0
    assert isinstance(told.exception, CommandError)
