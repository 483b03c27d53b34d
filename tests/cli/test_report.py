"""What a run ends with, from a real registry and a real lake; its prediction is in test_report_prediction."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient
from rich.console import Console

from cli.airflow_home import airflow_password, write_airflow_home
from cli.errors import CommandError
from cli.report import show_addresses, show_champion, show_query
from data_contracts import registry
from data_contracts.model_versions import Verdict
from data_contracts.settings import Settings
from tests.cli.small_lake import write_lake

METRICS = {
    "holdout_log_loss": 0.03374,
    "holdout_normalized_entropy": 1.00262,
    "holdout_calibration_ratio": 1.0125,
    "holdout_auc": 0.61,
}
REASONS = (
    "normalized entropy 1.0410 against the prior's 1.0000, interval [0.012, 0.071]",
    "clicks of 46 are too few " * 9,
)


@pytest.fixture
def store(store: MlflowClient) -> MlflowClient:
    store.create_registered_model("ad_ctr")
    return store


@pytest.fixture
def judged(store: MlflowClient, settings: Settings, tmp_path: Path) -> Callable[[str], str]:
    """Registers a challenger whose recorded verdict has this outcome; gives its version."""

    def judge(outcome: str) -> str:
        run = store.create_run(store.get_experiment_by_name("ad_ctr").experiment_id)
        for name, value in METRICS.items():
            store.log_metric(run.info.run_id, name, value)
        version = str(store.create_model_version("ad_ctr", str(tmp_path), run.info.run_id).version)
        registry.set_challenger(settings, version)
        evidence = {"challenger_version": version, "champion_version": registry.champion_version(settings)}
        registry.record_verdict(settings, version, Verdict(outcome, REASONS, (), evidence))
        return version

    return judge


@pytest.fixture
def written() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def console(written: io.StringIO) -> Console:
    """No terminal, and narrower than what is shown."""
    return Console(file=written, width=80, highlight=False)


def lines_of(written: io.StringIO) -> list[str]:
    return written.getvalue().splitlines()


def test_without_a_champion_the_prior_is_served_and_the_verdict_says_why(
    settings: Settings, judged: Callable[[str], str], console: Console, written: io.StringIO
) -> None:
    judged("refuse")
    assert show_champion(settings, console) is None
    assert lines_of(written) == [
        "",
        "no champion of ad_ctr: the prior CTR is served",
        f"  refuse: {REASONS[0]}; {REASONS[1]}",
    ]


def test_without_any_version_the_prior_is_served_since_none_was_judged(
    settings: Settings, store: MlflowClient, console: Console, written: io.StringIO
) -> None:
    assert show_champion(settings, console) is None
    assert lines_of(written)[1:] == ["no champion of ad_ctr: the prior CTR is served", "  no version was judged"]


def test_a_champion_is_shown_with_its_numbers_its_page_and_its_verdict(
    settings: Settings, judged: Callable[[str], str], console: Console, written: io.StringIO
) -> None:
    first = judged("promote")
    registry.promote(settings, first)
    judged("refuse")
    assert show_champion(settings, console) == "1"
    assert lines_of(written) == [
        "",
        "champion ad_ctr version 1: holdout log loss 0.0337, normalized entropy 1.0026, calibration ratio 1.0125, "
        "AUC 0.6100",
        "  http://127.0.0.1:25000/#/models/ad_ctr/versions/1",
        f"  http://127.0.0.1:25000/#/experiments/1/runs/{registry.champion(settings).run_id}",
        f"  promote: {REASONS[0]}; {REASONS[1]}",
    ]


def test_a_registry_that_does_not_answer_is_one_line(
    settings: Settings, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(CommandError, match=r"^MLflow does not answer at .*; is it running[?]$"):
        show_champion(replace(settings, services=replace(settings.services, mlflow_port=9)), console)


def test_the_query_counts_a_clicked_impression_once(settings: Settings, console: Console, written: io.StringIO) -> None:
    write_lake(settings)
    show_query(settings, console)
    assert [line.split() for line in lines_of(written)[-2:]] == [
        ["variant", "impressions", "clicks", "ctr"],
        ["random", "2", "1", "0.5"],
    ]


def test_every_address_is_shown_with_the_airflow_login(
    settings: Settings, console: Console, written: io.StringIO
) -> None:
    write_airflow_home(settings)
    show_addresses(settings, Console(file=written, width=160))
    assert lines_of(written)[1:] == [
        f"  Airflow  http://127.0.0.1:28080  (login admin, password {airflow_password(settings)})",
        "  MLflow   http://127.0.0.1:25000",
        "  scoring  http://127.0.0.1:28000",
        "  Spark    sc://127.0.0.1:25002",
    ]
