"""The services' state as a table and for programs."""

import json

import pytest
from rich.console import Console

from cli.services import MARKER
from cli.status import show_status
from data_contracts.settings import Settings


def test_programs_read_every_field(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert not show_status(settings, Console(), as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["home"] == str(settings.home)
    assert told["services"][0] == {
        "name": "spark",
        "state": "stopped",
        "healthy": False,
        "url": "sc://127.0.0.1:25002",
        "pid": 0,
        "memory_bytes": 0,
    }


def test_programs_that_lost_their_supervisord_are_told(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    import subprocess
    import sys

    left = subprocess.Popen([sys.executable, "-c", "input()"], env={MARKER: str(settings.home)}, stdin=subprocess.PIPE)
    try:
        show_status(settings, Console(width=120))
        assert "1 programs run that no supervisord looks after: `clicklake stop` ends them" in capsys.readouterr().out
    finally:
        left.communicate()


def test_the_page_of_the_checks_is_named_once_there_is_one(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    show_status(settings, Console(width=120))
    assert "checks" not in capsys.readouterr().out
    settings.validation_page.parent.mkdir(parents=True)
    settings.validation_page.touch()
    show_status(settings, Console(width=120))
    assert f"the contracts' checks: {settings.validation_page}\n" in capsys.readouterr().out
