"""What the mains share: one line about an expected error, and as_of with its zone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ml import command, evaluate, promote, train

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("main", [train.main, evaluate.main, promote.main])
def test_an_as_of_without_a_zone_is_refused_and_put_right(main: object, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--as-of", "2019-11-30T23:00:00"])
    assert stopped.value.code == 2
    assert "has no time zone; for UTC write 2019-11-30T23:00:00Z" in capsys.readouterr().err


def test_a_wrong_configuration_is_one_line_and_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLICKLAKE_CONF", str(tmp_path / "absent.toml"))
    assert command.exit_code(lambda settings: "not reached") == 1
    assert capsys.readouterr().err == f"error: {tmp_path}/absent.toml: no such file\n"


def test_the_summary_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.exit_code(lambda settings: f"trained {settings.model_name}") == 0
    assert capsys.readouterr().out == "trained ad_ctr\n"


def test_with_mlflow_down_a_job_fails_with_one_line(tmp_path: Path) -> None:
    overlay = tmp_path / "conf.toml"
    overlay.write_text("[services]\nmlflow_port = 9\n")
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    environment |= {"CLICKLAKE_CONF": str(overlay), "CLICKLAKE_HOME": str(tmp_path)}
    command_line = [sys.executable, "-m", "ml.promote", "--as-of", "2019-11-30T23:00:00Z"]
    done = subprocess.run(
        command_line, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert done.stderr == "error: MLflow does not answer at 127.0.0.1:9 (Connection refused); is it running?\n"
