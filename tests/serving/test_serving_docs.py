"""The examples of docs/serving.md that tell of events, run as they stand with the real clock, one after another."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[2] / "docs" / "serving.md"
EXAMPLES = re.findall(r"```sh\n(NOW=.+?|curl .+?)```\n\n```json\n(.+?)\n```", DOCS.read_text(), re.DOTALL)


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    """Without a clock of the tests' own."""
    overlay = Path(environ["CLICKLAKE_CONF"])
    overlay.write_text(re.sub(r"stated = .+\n", 'stated = ""\n', overlay.read_text()))
    return environ


def test_each_example_gives_the_answer_that_is_shown(serve: Callable[[], Any], landed: Callable[..., Any]) -> None:
    served = serve()
    assert len(EXAMPLES) == 5
    script = "; echo\n".join(command.strip() for command, _ in EXAMPLES)  # in one shell, as a person pastes them
    own = script.replace("http://127.0.0.1:8000", served.settings.serving_url)
    given = subprocess.run(["sh", "-c", own], capture_output=True, text=True, check=True).stdout
    assert given.splitlines() == [answer for _, answer in EXAMPLES]
    assert len(landed(served.settings)) == 4
