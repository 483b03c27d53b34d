"""What a run shows the platform on: a synthetic market, the Open Bandit Dataset, or the log that a home has."""

from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from cli.errors import CommandError
from cli.held import EVENTS, IMPORT, MARKET, OPEN_BANDIT, RECORD, TOLD, held_by, require_no_other
from cli.importing.import_log import import_log
from cli.importing.tally import read_tally
from cli.jars import ROOT
from cli.simulate import simulate
from data_contracts.disk import replace_whole
from data_contracts.settings import CONF, HOME_CONF, Settings
from simulator.knobs import load_knobs
from simulator.truth import market_end, read_market

DAYS, IMPRESSIONS_PER_DAY, SEED = 14, 50_000, 7
MAPPING = ROOT / "conf" / "imports" / "obd.toml"
SOURCE = ROOT / "data" / "obd_small.tar.gz"


def claimed(home: Path, asked: str | None) -> str:
    """What `home` holds from now on: what is asked for, else what it holds already, else the market.

    Raises CommandError where a sample is asked for and it holds another log, or a conf.toml that the sample's would
    replace.
    """
    held = held_by(home)
    chosen = asked or held or MARKET
    require_no_other(home, chosen)
    if held is None:
        home.mkdir(parents=True, exist_ok=True)
        if chosen == OPEN_BANDIT:
            _configure(home / HOME_CONF, (CONF / "obd.toml").read_text())
        replace_whole(home / RECORD, chosen)
    return chosen


def _configure(path: Path, text: str) -> None:
    if path.exists() and path.read_text() != text:
        raise CommandError(
            f"{path} is there already, and this sample needs its own: set CLICKLAKE_HOME to another folder"
        )
    replace_whole(path, text)


def _require_whole_imports(home: Path) -> None:
    for record in sorted((home / "imports").glob("*.json")):
        if (tally := read_tally(record)) and not tally.is_finished:
            raise CommandError(f"an import into {home} was cut off: the same `clicklake import` goes on where it was")


def as_of(settings: Settings, sample: str) -> str:
    """Where the log ends: what the DAGs look at ends there. The market's end, else the clock's last full hour."""
    found = read_market(settings.home) if sample == MARKET else None
    end = market_end(found) if found else settings.clock.now()
    return end.replace(minute=0, second=0, microsecond=0).strftime("%Y-%m-%dT%H:%M:%SZ")


def bring(settings: Settings, console: Console, sample: str) -> bool:
    """Brings a sample into landing; whether there was anything to do. A log of one's own is there."""
    if sample in (IMPORT, EVENTS):
        _require_whole_imports(settings.home)
        console.print(f"{settings.home} holds {TOLD[sample]}: no sample is added to it", soft_wrap=True)
        return False
    if sample == OPEN_BANDIT:
        return import_log(settings, MAPPING, [SOURCE], console) is not None
    found = read_market(settings.home)
    if found and found["is_finished"]:
        console.print(f"the market of {settings.home} was simulated before: nothing to do", soft_wrap=True)
        return False
    if found and found["knobs"] != asdict(load_knobs(None)):
        raise CommandError(
            f"the market of {settings.home} was cut off, and has knobs of its own: finish it with `clicklake simulate`"
            " as it was begun"
        )
    size = (found["days"], found["impressions_per_day"], found["seed"]) if found else (DAYS, IMPRESSIONS_PER_DAY, SEED)
    return simulate(settings, console, *size, start=None, knobs=None) is not None
