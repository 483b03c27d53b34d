"""The start as a person outside a terminal reads it, and what it leaves for the bench."""

import io
import json
import re

from rich.console import Console

from cli.startup import services_started
from cli.timings import timings_path
from tests.cli.conftest import SmallPlatform


def test_each_service_is_one_line_with_its_seconds_and_they_are_recorded(small_platform: SmallPlatform) -> None:
    written = io.StringIO()
    services_started(small_platform.settings, Console(file=written, width=160))
    title, *lines = written.getvalue().splitlines()
    assert title == "services"
    assert sorted(re.sub(r"\d+\.\d", "1.0", line) for line in lines) == [
        "  ill: healthy 1.0 s",
        "  well: healthy 1.0 s",
    ]
    recorded = json.loads(timings_path(small_platform.settings).read_text())
    assert set(recorded) == {"service well", "service ill"}


def test_a_second_start_keeps_the_seconds_of_the_first(small_platform: SmallPlatform) -> None:
    services_started(small_platform.settings, Console(file=io.StringIO()))
    recorded = timings_path(small_platform.settings).read_text()
    services_started(small_platform.settings, Console(file=io.StringIO()))
    assert timings_path(small_platform.settings).read_text() == recorded
