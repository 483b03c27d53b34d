"""What a run says of the code it came from, and the inputs a model states."""

import subprocess
from pathlib import Path

import pytest

from ml import model_run
from tests.ml import learnable_market as market


def commit(folder: Path) -> str:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
    for command in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-q", "-m", "First"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_the_commit_is_named_and_changes_since_are_not_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = tmp_path / "ctr_model.py"
    code.write_text("one\n")
    monkeypatch.setattr(model_run, "MODEL_CODE", code)
    head = commit(tmp_path)
    assert model_run.git_commit() == head
    code.write_text("two\n")
    assert model_run.git_commit() == f"{head}-dirty"


def test_without_a_checkout_the_commit_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_run, "MODEL_CODE", tmp_path / "ctr_model.py")
    assert model_run.git_commit() == "unknown (not run from a git checkout)"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert model_run.git_commit() == "unknown (not run from a git checkout)"


def test_request_fields_are_required_and_counts_are_not() -> None:
    inputs = model_run.signature(market.feature_set()).inputs.inputs
    assert [column.name for column in inputs if column.required] == ["position", "timestamp"]
    assert [column.name for column in inputs] == list(market.feature_set().input_names)
