"""What a run shows the platform on: a synthetic market, or the Open Bandit Dataset. A home holds one of them."""

from pathlib import Path

from rich.console import Console

from cli.errors import CommandError
from cli.importing.import_log import import_log
from cli.jars import ROOT
from cli.simulate import simulate
from data_contracts.disk import replace_whole
from data_contracts.settings import CONF, HOME_CONF, Settings
from simulator.truth import market_end, read_market

MARKET, OPEN_BANDIT = "market", "obd"
DAYS, IMPRESSIONS_PER_DAY, SEED = 14, 50_000, 7
MAPPING = ROOT / "conf" / "imports" / "obd.toml"
SOURCE = ROOT / "data" / "obd_small.tar.gz"


def claimed(home: Path, asked: str | None) -> str:
    """The sample that `home` holds from now on: what is asked for, else what it holds already, else the market.

    Raises CommandError where it holds another sample, or a log of one's own: what they say of the same hours would mix.
    """
    held = held_by(home)
    if held is None and (home / "imports").exists():
        raise CommandError(
            f"{home} holds a log that was imported, and no sample is added to it: trigger the DAGs in Airflow"
            " (`clicklake start`), or set CLICKLAKE_HOME to another folder"
        )
    if asked and held and asked != held:
        raise CommandError(
            f"{home} holds {_TOLD[held]}, and a lake has one log: set CLICKLAKE_HOME to another folder, or stop the"
            " platform and delete this one"
        )
    chosen = asked or held or MARKET
    if held is None:
        home.mkdir(parents=True, exist_ok=True)
        if chosen == OPEN_BANDIT:
            replace_whole(home / HOME_CONF, (CONF / "obd.toml").read_text())
        replace_whole(home / "sample", chosen)
    return chosen


def held_by(home: Path) -> str | None:
    """The sample that a home holds."""
    record = home / "sample"
    if record.exists():
        return record.read_text()
    return MARKET if read_market(home) else None


def as_of(settings: Settings, sample: str) -> str:
    """Where the sample ends: what the DAGs look at ends there. The market's end, else the clock's last full hour."""
    found = read_market(settings.home) if sample == MARKET else None
    end = market_end(found) if found else settings.clock.now()
    return end.replace(minute=0, second=0, microsecond=0).strftime("%Y-%m-%dT%H:%M:%SZ")


_TOLD = {MARKET: "a synthetic market", OPEN_BANDIT: "the Open Bandit Dataset"}


def bring(settings: Settings, console: Console, sample: str) -> bool:
    """Brings the sample into landing; whether there was anything to do."""
    if sample == OPEN_BANDIT:
        return import_log(settings, MAPPING, [SOURCE], console) is not None
    found = read_market(settings.home)
    if found and found["is_finished"]:
        console.print(f"the market of {settings.home} was simulated before: nothing to do", soft_wrap=True)
        return False
    size = (found["days"], found["impressions_per_day"], found["seed"]) if found else (DAYS, IMPRESSIONS_PER_DAY, SEED)
    return simulate(settings, console, *size, start=None, knobs=None) is not None
