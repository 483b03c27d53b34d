"""A run that fails on the way; one that comes to its end is in tests/end_to_end."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from cli.errors import CommandError
from cli.run import run
from cli.supervisord import running
from cli.timings import timings_path
from tests.cli.conftest import SmallPlatform


@pytest.fixture(autouse=True)
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One impression in place of the Open Bandit Dataset's 60,000."""
    mapping, log = tmp_path / "log.toml", tmp_path / "log.csv"
    mapping.write_text(
        "[[ad_impressions]]\nmembers = 'log[.]csv'\n[ad_impressions.columns]\n"
        'impression_id = "id"\nuser_id = "\'someone\'"\nad_id = "ad"\ntimestamp = "at"\n'
    )
    log.write_text("id,at,ad\ni-1,2019-11-30T10:00:00Z,men-1\n")
    monkeypatch.setattr("cli.samples.MAPPING", mapping)
    monkeypatch.setattr("cli.samples.SOURCE", log)
    return log


def failed_run(small_platform: SmallPlatform, error: str) -> str:
    """What a run says before it fails with `error`."""
    written = io.StringIO()
    with pytest.raises(CommandError, match=error):
        run(lambda: small_platform.settings, Console(file=written, width=160), "obd")
    return written.getvalue()


def test_the_services_stay_up_when_the_dags_fail_and_nothing_is_imported_twice(small_platform: SmallPlatform) -> None:
    airflow = "Airflow does not answer .*: see `clicklake status`"
    assert "ad_impressions: 1 rows" in failed_run(small_platform, airflow)
    supervisord = running(small_platform.settings.home)
    assert supervisord is not None
    pids = {name: program["pid"] for name, program in supervisord.programs().items()}
    recorded = json.loads(timings_path(small_platform.settings).read_text())
    assert set(recorded) == {"service well", "service ill", "sample"}
    assert failed_run(small_platform, airflow).splitlines()[-1] == "log.csv was imported before: nothing to do"
    assert {name: program["pid"] for name, program in supervisord.programs().items()} == pids
    assert json.loads(timings_path(small_platform.settings).read_text()) == recorded


def test_nothing_is_imported_when_a_service_does_not_start(small_platform: SmallPlatform) -> None:
    small_platform.break_ill()
    said = failed_run(small_platform, "ill did not start")
    assert "ad_impressions" not in said
    assert not small_platform.settings.landing.exists()
    assert not timings_path(small_platform.settings).exists()
