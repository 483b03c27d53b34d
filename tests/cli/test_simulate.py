"""`clicklake simulate` as a person meets it; the market itself is in tests/simulator."""

import io
import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from rich.console import Console

from cli.alone import alone
from cli.errors import CommandError
from cli.simulate import simulate
from data_contracts.landing import read_segment
from data_contracts.pseudonym import load_key, pseudonym
from data_contracts.settings import ConfigurationError, Settings
from simulator import market


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=300)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    (tmp_path / "small.toml").write_text("[size]\nusers = 500\nads_at_start = 50\n")
    return tmp_path / "small.toml"


def run(settings: Settings, console: Console, knobs: Path, days: int = 2, seed: int = 7, start: str | None = None):
    simulate(settings, console, days, 1_000, seed, start, knobs)
    return console.file.getvalue().splitlines()


def test_it_gives_the_markets_end_and_none_when_it_was_done_before(settings, console, small):
    assert simulate(settings, console, 2, 1_000, 7, "2026-01-01", small) == "2026-01-03T00:00:00.000000Z"
    assert simulate(settings, console, 2, 1_000, 7, "2026-01-01", small) is None


def landed(settings: Settings) -> list[dict]:
    return [line for path in sorted(settings.landing.glob("*/*.jsonl")) for line in read_segment(path)]


def test_a_market_lands_with_its_truth_beside_the_lake(settings, console, small):
    first, *others = run(settings, console, small, start="2026-01-01")
    lines = landed(settings)
    assert re.fullmatch(
        rf"2 days from 2026-01-01 00:00 UTC: {len(lines):,} events in \d+\.\d s, [\d,]+ events/s", first
    )
    assert others == [f"the truth is in {settings.home / 'market'}"]
    assert sorted(path.name for path in (settings.home / "market").rglob("*.parquet")) == [
        "2026-01-01.parquet",
        "2026-01-02.parquet",
    ]
    told = json.loads((settings.home / "market" / "market.json").read_text())
    assert (told["seed"], told["lines"], told["knobs"]["size"]["users"]) == (7, len(lines), 500)
    assert not settings.lake.exists()


def test_users_are_known_by_their_pseudonyms_only(settings, console, small):
    run(settings, console, small)
    key = load_key(settings.pseudonym_key)
    users = {line["row"]["user_id"] for line in landed(settings) if line["table"] == "users"}
    assert users <= {pseudonym(key, f"user-{number:06d}") for number in range(620)}
    assert len(users) == 580


def test_without_a_start_it_ends_at_the_clocks_hour(settings, console, small):
    run(settings, console, small)
    end = settings.clock.now().replace(minute=0, second=0)
    told = json.loads((settings.home / "market" / "market.json").read_text())
    assert told["start"] == f"{end - timedelta(days=2):%Y-%m-%dT%H:%M:%S}.000000Z"
    assert max(line["received_at"] for line in landed(settings)) < f"{end:%Y-%m-%dT%H:%M:%S}"


def test_the_same_market_is_simulated_once(settings, console, small):
    run(settings, console, small, start="2026-01-01")
    before = landed(settings)
    said = run(settings, console, small)
    assert said[-1] == (
        "this market, seed 7, 2 days of 1,000 impressions from 2026-01-01T00:00:00.000000Z on, was simulated before:"
        " nothing to do"
    )
    assert landed(settings) == before


@pytest.mark.parametrize(
    ("other", "differs"), [({"seed": 8}, "seed"), ({"days": 3}, "days"), ({"start": "2026-01-02"}, "start")]
)
def test_a_home_holds_one_market(settings, console, small, other, differs):
    run(settings, console, small, start="2026-01-01")
    held = r"holds another market: seed 7, 2 days of 1,000 impressions from 2026-01-01T00:00:00\.000000Z on"
    with pytest.raises(CommandError, match=rf"{held}; here {differs} would differ, and a lake has one"):
        run(settings, console, small, **other)


def test_a_second_one_at_once_is_told_so(settings, console, small):
    held = alone(settings.home / "market" / "lock", "busy")
    with held, pytest.raises(CommandError, match=r"another simulation in .* is at work: wait for it"):
        run(settings, console, small)
    assert not settings.landing.exists()
    run(settings, console, small)
    assert settings.landing.exists()


def test_one_that_was_cut_off_is_written_again_as_it_was_begun(settings, console, small, monkeypatch):
    def cut_off(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(market, "write_day", cut_off)
        run(settings, console, small, start="2026-01-01")
    first = landed(settings)
    run(settings, console, small)
    again = landed(settings)[len(first) :]
    assert [line["row"] for line in again][: len(first)] == [line["row"] for line in first]
    assert json.loads((settings.home / "market" / "market.json").read_text())["is_finished"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[size]\nuser = 5\n", r"mine\.toml: unknown key size\.user; known here: users, "),
        ("[size]\nusers = 0\n", r"mine\.toml: size\.users is 0, less than 1"),
        ("[size]\nad_days = 0.5\n", r"mine\.toml: size\.ad_days is 0\.5, less than 1"),
        ("[bots]\ncrawlers = 0\n", r"mine\.toml: bots\.crawlers is 0, but 0\.01 of all impressions are to be theirs"),
        ("[arrival]\nlate_share = 2.0\n", r"mine\.toml: arrival\.late_share is 2\.0, not within 0 and 1"),
        ("[delay]\ndays_share = 0.9\n", r"mine\.toml: delay\.minutes_share and days_share are more than 1 together"),
        ("[bots]\nfarm_campaigns = -1\n", r"mine\.toml: bots\.farm_campaigns is -1, less than 0"),
        ("[drift]\nperiod_days = 0\n", r"mine\.toml: drift\.period_days is 0\.0, not greater than 0"),
        ("[traffic]\nuser_exponent = nan\n", r"mine\.toml: traffic\.user_exponent is nan, not a finite number"),
        ("[response]\ntopic = -1\n", r"mine\.toml: response\.topic is -1\.0, less than 0"),
        ("[experiment]\nname = 'a \"b\"'\n", r"mine\.toml: experiment\.name is 'a \"b\"', not a word"),
        ("[delay]\nseconds = 0\n", r"mine\.toml: delay\.seconds is 0\.0, not greater than 0"),
        ("[response]\nclick_rate = 2.0\n", r"mine\.toml: response\.click_rate is 2\.0, not within 0 and 1"),
    ],
)
def test_knobs_that_cannot_be_used_are_named_by_file_and_key(settings, console, tmp_path, text, said):
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=said):
        run(settings, console, tmp_path / "mine.toml")
    assert not settings.home.exists()


def test_knobs_that_run_out_of_ads_are_said_in_one_line(settings, console, tmp_path):
    (tmp_path / "mine.toml").write_text("[size]\nusers = 500\nads_at_start = 1\nnew_ads_per_day = 0\nad_days = 1.0\n")
    with pytest.raises(CommandError, match=r"no ad runs in hour \d+ of the market: more ads_at_start or ad_days"):
        run(settings, console, tmp_path / "mine.toml", days=3)
    (tmp_path / "mine.toml").write_text("[size]\nusers = 500\n")
    assert "3 days from" in run(settings, console, tmp_path / "mine.toml", days=3)[0]


def test_a_start_that_is_no_day_is_refused(settings, console, small):
    with pytest.raises(CommandError, match="--start: 9999-12-31 is not within 2000 and 2100"):
        run(settings, console, small, start="9999-12-31")
    with pytest.raises(CommandError, match=r"--start: 'jan' is no day; write it like 2026-01-31"):
        run(settings, console, small, start="jan")
