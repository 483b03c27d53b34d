"""A service that takes the place of a killed one."""

import os
import subprocess
import sys
from pathlib import Path

from cli.services import MARKER, SERVICE_MARKER

SLEEPS = "import time; time.sleep(60)"


def test_what_a_killed_service_left_is_ended_before_it_starts_again(tmp_path: Path) -> None:
    marks = {**os.environ, MARKER: str(tmp_path), SERVICE_MARKER: "mlflow"}
    left = subprocess.Popen([sys.executable, "-c", SLEEPS], env=marks)
    neighbour = subprocess.Popen([sys.executable, "-c", SLEEPS], env={**marks, SERVICE_MARKER: "serving"})
    command = [sys.executable, "-m", "cli.takeover", "mlflow", sys.executable, "-c", "import os; print(os.getpid())"]
    try:
        with subprocess.Popen(command, env=marks, stdout=subprocess.PIPE, text=True) as successor:
            said, _ = successor.communicate(timeout=30)
        assert int(said) == successor.pid
        assert left.wait(5) == -15
        assert neighbour.poll() is None
    finally:
        for program in (left, neighbour):
            program.kill()
            program.wait()
