"""An import that was cut off, by a full disk, a person or a kill, goes on where it was."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli.importing import import_log as importing
from cli.importing import text_lines
from cli.importing.import_log import import_log
from cli.importing.tally import Tally, read_tally
from tests.cli.importing.conftest import DAY_1, REJECTED, ROWS, landed, outcome

ROOT = Path(__file__).parents[3]


def test_an_import_that_failed_half_way_goes_on_where_it_was(settings, mapping, shop, console, monkeypatch):
    class Failing(importing.LandingWriter):
        def append(self, events):
            if self._lines:
                raise OSError(28, "No space left on device")
            super().append(events)

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(importing, "LandingWriter", Failing)
        import_log(settings, mapping, [shop], console)
    first = landed(settings)
    assert [line["origin"] for line in first] == ["shop/day-1.csv:2", "shop/day-1.csv:3", "shop/day-1.csv:3"]
    assert outcome(import_log(settings, mapping, [shop], console)) == (ROWS, REJECTED)
    assert console.file.getvalue().splitlines()[0] == "going on after day-1.csv:3, with 3 rows done before"
    assert [line["origin"] for line in landed(settings)[3:]] == [f"shop/day-2.csv:{number}" for number in (2, 4, 3)]


def test_an_import_that_goes_on_inside_a_member_leaves_nothing_out(settings, mapping, shop, console, monkeypatch):
    """With a batch a line, it is stopped after each number of batches there can be."""
    monkeypatch.setattr(text_lines, "BLOCK_BYTES", 4)
    import_log(settings, mapping, [shop], console)
    whole = landed(settings)
    for batches in range(5):
        left = iter(range(batches))

        class Stopped(importing.LandingWriter):
            def append(self, events, left=left):
                if next(left, None) is None:
                    raise KeyboardInterrupt
                super().append(events)

        before = len(landed(settings))
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(importing, "LandingWriter", Stopped)
            import_log(settings, mapping, [shop], console, again=True)
        assert outcome(import_log(settings, mapping, [shop], console)) == (ROWS, REJECTED)
        assert landed(settings)[before:] == whole


def test_an_import_that_a_person_stops_says_how_to_go_on(settings, mapping, shop, console, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(importing.LandingWriter, "append", interrupted)
    with pytest.raises(KeyboardInterrupt):
        import_log(settings, mapping, [shop], console)
    assert console.file.getvalue() == "stopped after 0 rows: the same command goes on from there\n"


def test_an_import_killed_by_the_system_goes_on_where_it_was(settings, mapping, shop, console):
    header, _, lines = DAY_1.partition(b"\n")
    (shop / "day-3.csv").write_bytes(header + b"\n" + lines * 10_000)
    command = f"""
from pathlib import Path
from rich.console import Console
from data_contracts.settings import load
from cli.importing import import_log as importing, text_lines
importing.RECORD_SECONDS, text_lines.BLOCK_BYTES = 0, 20_000
settings = load({{"CLICKLAKE_HOME": {str(settings.home)!r}}})
importing.import_log(settings, Path({str(mapping)!r}), [Path({str(shop)!r})], Console())
"""
    with subprocess.Popen([sys.executable, "-c", command], cwd=ROOT, stdout=subprocess.PIPE) as killed:
        records = settings.home / "imports"
        while not any((read_tally(record) or Tally()).line > 1_000 for record in records.glob("*.json")):
            assert killed.poll() is None, "ended before it could be killed"
        killed.send_signal(signal.SIGKILL)
    tally = import_log(settings, mapping, [shop], console)
    assert re.match(r"going on after day-3\.csv:[\d,]+, with [\d,]+ rows done before", console.file.getvalue())
    assert outcome(tally) == ({"ad_impressions": 2 + 20_000, "clicks": 1 + 10_000}, REJECTED)
    clicks = {line["row"]["click_id"] for line in landed(settings) if line["table"] == "clicks"}
    assert len(clicks) == 10_001
