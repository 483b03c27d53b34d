"""Requests made from the document of serving, those it allows and those it does not, over real HTTP (schemathesis)."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from serving import predict

ROOT = Path(__file__).parents[2]
CONFIG = Path(__file__).with_name("schemathesis.toml")
SAMPLE, SOAK = 300, 100_000
EXAMPLES_A_ROUTE = {SAMPLE: 5, SOAK: 2000}


def asked(served: Any, examples: int, seed: int, *options: str) -> tuple[str, int]:
    """What schemathesis says, and how many requests it sent; `examples` a route besides those of its other phases."""
    command = [str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(CONFIG), "run"]
    command += [f"{served.settings.serving_url}/openapi.json", "--no-color", "--phases=examples,coverage,fuzzing"]
    command += [f"--max-examples={examples}", f"--seed={seed}", *options]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    told = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    generated = re.search(r"(\d+) generated", told.stdout)
    assert generated, told.stdout + told.stderr
    return ("" if told.returncode == 0 else told.stdout), int(generated.group(1))


@pytest.mark.parametrize("requests", [SAMPLE, pytest.param(SOAK, marks=pytest.mark.soak)])
def test_whatever_is_asked_is_answered_as_the_document_says(served: Any, requests: int) -> None:
    """No 5xx, no answer that is not described, nothing taken that is not allowed, nothing refused that is."""
    sent, seed = 0, 0
    while sent < requests:
        problems, count = asked(served, EXAMPLES_A_ROUTE[requests], seed)
        if problems:
            pytest.fail(problems, pytrace=False)
        sent, seed = sent + count, seed + 1
    assert served.health()["status"] == "ok"


def test_a_route_that_fails_for_some_input_is_found(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control of the test above."""
    sound = predict.parsed

    def failing(body: bytes, *limits: int) -> Any:
        request = sound(body, *limits)
        if False in request.features.values():
            raise RuntimeError("not expected")
        return request

    monkeypatch.setattr(predict, "parsed", failing)
    problems, _ = asked(served, 200, 0, "--include-path=/predict", "--no-shrink")
    assert "Server error" in problems
    assert "[500] Internal Server Error" in problems
