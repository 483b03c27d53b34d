"""`clicklake simulate`: a synthetic market on its way into the lake, as a person sees it."""

import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cli.alone import alone
from cli.cycles import no_search_for_cycles
from cli.errors import CommandError
from cli.held import MARKET as HELD_MARKET
from cli.held import require_no_other
from data_contracts.landing import instant_text
from data_contracts.pseudonym import load_key, pseudonym
from data_contracts.settings import Settings
from simulator.knobs import Knobs, MarketError, load_knobs
from simulator.market import Market, Plan, simulated
from simulator.truth import MARKET, read_market, write_market

START = "start"
FIRST_YEAR, LAST_YEAR = 2000, 2100


def simulate(
    settings: Settings, console: Console, days: int, impressions: int, seed: int, start: str | None, knobs: Path | None
) -> str | None:
    """Writes a market to landing, sealed, and its truth to <home>/market, and gives its end; None when that was done
    before.

    Raises CommandError for a start that is no day, and where the home holds another market or log; ConfigurationError
    for knobs that cannot be used. One that was cut off is written again from its beginning: the tables end the same.
    One process at a time: CommandError for a second.
    """
    chosen = load_knobs(knobs)
    asked = {"days": days, "impressions_per_day": impressions, "seed": seed, "knobs": asdict(chosen)}
    if start:
        asked[START] = instant_text(_first_day(start))
    with alone(settings.home / MARKET / "lock", f"another simulation in {settings.home} is at work"):
        return _simulated(settings, console, chosen, asked)


def _simulated(settings: Settings, console: Console, knobs: Knobs, asked: Mapping[str, Any]) -> str | None:
    require_no_other(settings.home, HELD_MARKET)
    found = read_market(settings.home)
    if found and (differing := [name for name, value in asked.items() if found[name] != value]):
        raise CommandError(
            f"{settings.home} holds another market: {_told(found)}; here {', '.join(differing)} would differ, and a"
            " lake has one: set CLICKLAKE_HOME to another folder"
        )
    if found and found["is_finished"]:
        console.print(f"this market, {_told(found)}, was simulated before: nothing to do")
        return None
    begins = (found or asked).get(START) or instant_text(_now(settings) - timedelta(days=asked["days"]))
    size = (asked[name] for name in ("days", "impressions_per_day", "seed"))
    plan = Plan(*size, datetime.fromisoformat(begins))
    try:
        market = Market(knobs, plan, partial(pseudonym, load_key(settings.pseudonym_key)))
    except MarketError as error:
        raise CommandError(str(error)) from None
    told = {**asked, START: begins, "is_finished": False}
    write_market(settings.home, told)
    lines = _written(settings, console, market)
    write_market(settings.home, {**told, "is_finished": True, "lines": lines})
    console.print(f"the truth is in {settings.home / MARKET}", soft_wrap=True)
    return instant_text(plan.end)


def _written(settings: Settings, console: Console, market: Market) -> int:
    """The number of lines that have landed."""
    plan, began, lines = market.plan, time.monotonic(), 0
    columns = (
        TextColumn("day"),
        MofNCompleteColumn(),
        BarColumn(),
        TextColumn("{task.fields[lines]:,} events, {task.fields[speed]:,.0f} events/s"),
        TimeRemainingColumn(),
    )
    with no_search_for_cycles(), Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=plan.days, lines=0, speed=0.0)
        for landed in simulated(market, settings.landing, settings.home / MARKET):
            lines += landed
            progress.update(task, advance=1, lines=lines, speed=lines / (time.monotonic() - began))
    seconds = time.monotonic() - began
    console.print(
        f"{plan.days} days from {plan.start:%Y-%m-%d %H:%M} UTC: {lines:,} events in {seconds:.1f} s,"
        f" {lines / seconds:,.0f} events/s"
    )
    return lines


def _told(found: Mapping[str, Any]) -> str:
    """A market in a few words."""
    size = f"{found['days']} days of {found['impressions_per_day']:,} impressions"
    return f"seed {found['seed']}, {size} from {found[START]} on"


def _now(settings: Settings) -> datetime:
    return settings.clock.now().replace(minute=0, second=0, microsecond=0)


def _first_day(text: str) -> datetime:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise CommandError(f"--start: {text!r} is no day; write it like 2026-01-31") from None
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise CommandError(f"--start: {text} is not within {FIRST_YEAR} and {LAST_YEAR}")
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
