"""Which sample a home holds, and where it ends."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from cli.errors import CommandError
from cli.importing.import_log import import_log
from cli.samples import MAPPING, SOURCE, as_of, bring, claimed
from cli.simulate import simulate
from data_contracts.sections import Clock
from data_contracts.settings import Settings, load


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=200)


def test_an_empty_home_gets_the_market_and_keeps_it(tmp_path: Path) -> None:
    assert claimed(tmp_path / "home", None) == "market"
    assert claimed(tmp_path / "home", None) == "market"
    assert not (tmp_path / "home" / "conf.toml").exists()


def test_the_open_bandit_dataset_brings_the_clock_that_every_later_command_sees(tmp_path: Path) -> None:
    environ = {"CLICKLAKE_HOME": str(tmp_path / "home")}
    assert load(environ).clock.stated == ""
    assert claimed(tmp_path / "home", "obd") == "obd"
    assert load(environ).clock.stated == "2019-11-30T23:59:59Z"
    assert load(environ).ingest.schedule == ""
    assert claimed(tmp_path / "home", None) == "obd"


@pytest.mark.parametrize(("held", "asked", "told"), [("obd", "market", "Open Bandit"), ("market", "obd", "market")])
def test_a_home_that_holds_another_sample_is_left_alone(tmp_path: Path, held: str, asked: str, told: str) -> None:
    claimed(tmp_path, held)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(CommandError, match=f"{told}.*one log: set CLICKLAKE_HOME"):
        claimed(tmp_path, asked)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("own", "held"), [("imports", "import"), ("landing/serving-0/1.jsonl", "events"), ("lake/raw_events", "events")]
)
def test_no_sample_is_added_to_a_log_of_ones_own(settings: Settings, console: Console, own: str, held: str) -> None:
    (settings.home / own).mkdir(parents=True)
    assert claimed(settings.home, None) == held
    assert bring(settings, console, held) is False
    assert as_of(settings, held) == "2019-11-30T23:00:00Z"
    for sample in ("market", "obd"):
        with pytest.raises(CommandError, match="a lake has one log"):
            claimed(settings.home, sample)
    with pytest.raises(CommandError, match="a lake has one log"):
        simulate(settings, console, 2, 1000, 3, "2026-01-01", None)
    assert [path.name for path in settings.home.iterdir() if path.is_file()] == []


def test_an_import_that_was_cut_off_is_finished_before_anything_runs_on_it(
    settings: Settings, console: Console, tmp_path: Path
) -> None:
    mapping, log = tmp_path / "log.toml", tmp_path / "log.csv"
    mapping.write_text(
        "[[ad_impressions]]\nmembers = 'log[.]csv'\n[ad_impressions.columns]\n"
        'impression_id = "id"\nuser_id = "\'someone\'"\nad_id = "ad"\ntimestamp = "at"\n'
    )
    log.write_text("id,at,ad\ni-1,2019-11-30T10:00:00Z,men-1\n")
    import_log(settings, mapping, [log], console)
    assert bring(settings, console, "import") is False
    (record,) = (settings.home / "imports").glob("*.json")
    record.write_text(json.dumps(json.loads(record.read_text()) | {"is_finished": False}))
    with pytest.raises(CommandError, match="cut off"):
        bring(settings, console, "import")


def test_no_log_is_imported_into_a_market_and_no_market_made_in_a_home_of_open_bandit(
    settings: Settings, console: Console
) -> None:
    claimed(settings.home, "obd")
    with pytest.raises(CommandError, match="holds the Open Bandit Dataset"):
        simulate(settings, console, 2, 1000, 3, "2026-01-01", None)
    other = replace(settings, home=settings.home / "other")
    claimed(other.home, None)
    with pytest.raises(CommandError, match="holds a synthetic market"):
        import_log(other, MAPPING, [SOURCE], console)


def test_settings_of_ones_own_are_not_replaced_by_a_samples(tmp_path: Path) -> None:
    (tmp_path / "conf.toml").write_text('model_name = "mine"\n')
    with pytest.raises(CommandError, match=r"conf.toml is\s+there"):
        claimed(tmp_path, "obd")
    assert (tmp_path / "conf.toml").read_text() == 'model_name = "mine"\n'
    assert not (tmp_path / "sample").exists()
    assert claimed(tmp_path, None) == "market"


def test_a_market_with_knobs_of_its_own_that_was_cut_off_is_left_to_simulate(
    settings: Settings, console: Console, tmp_path: Path
) -> None:
    knobs = tmp_path / "knobs.toml"
    knobs.write_text("[response]\nclick_rate = 0.1\n")
    simulate(settings, console, 2, 1000, 3, "2026-01-01", knobs)
    record = settings.home / "market" / "market.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"is_finished": False}))
    with pytest.raises(CommandError, match="finish it with `clicklake simulate`"):
        bring(settings, console, "market")


def test_a_market_that_was_simulated_before_is_taken_as_it_is_and_ends_where_it_ends(
    settings: Settings, console: Console
) -> None:
    now = replace(settings, clock=Clock("2026-03-05T10:20:00Z"))
    knobs = settings.home / "knobs.toml"
    knobs.parent.mkdir(parents=True, exist_ok=True)
    knobs.write_text("[response]\nclick_rate = 0.1\n")
    simulate(now, console, 2, 1000, 3, None, knobs)
    landed = {path: path.read_bytes() for path in settings.landing.glob("*/*.jsonl")}
    later = replace(settings, clock=Clock("2026-03-09T23:00:00Z"))
    with pytest.raises(CommandError, match="a synthetic market"):
        claimed(settings.home, "obd")
    assert claimed(settings.home, None) == "market"
    assert bring(later, console, "market") is False
    assert as_of(later, "market") == "2026-03-05T10:00:00Z"
    assert {path: path.read_bytes() for path in settings.landing.glob("*/*.jsonl")} == landed


def test_a_market_that_was_cut_off_is_finished_as_it_was_begun(settings: Settings, console: Console) -> None:
    now = replace(settings, clock=Clock("2026-03-05T10:20:00Z"))
    simulate(now, console, 2, 1000, 3, None, None)
    record = settings.home / "market" / "market.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"is_finished": False}))
    later = replace(settings, clock=Clock("2026-03-09T23:00:00Z"))
    assert bring(later, console, "market") is True
    told = json.loads(record.read_text())
    assert (told["days"], told["impressions_per_day"], told["seed"], told["is_finished"]) == (2, 1000, 3, True)
    assert as_of(later, "market") == "2026-03-05T10:00:00Z"


def test_the_other_sample_ends_at_the_last_full_hour_of_the_stated_clock(settings: Settings) -> None:
    assert as_of(settings, "obd") == "2019-11-30T23:00:00Z"
    exactly = replace(settings, clock=Clock("2019-12-01T00:00:00Z"))
    assert as_of(exactly, "obd") == "2019-12-01T00:00:00Z"
