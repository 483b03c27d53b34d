"""What a home holds: a lake has one log, and what two say of the same hours would mix."""

from pathlib import Path

from cli.errors import CommandError
from simulator.truth import read_market

MARKET, OPEN_BANDIT, IMPORT, EVENTS = "market", "obd", "import", "events"
TOLD = {
    MARKET: "a synthetic market",
    OPEN_BANDIT: "the Open Bandit Dataset",
    IMPORT: "a log that was imported",
    EVENTS: "events that were posted",
}
RECORD = "sample"


def held_by(home: Path) -> str | None:
    """MARKET or OPEN_BANDIT for a sample, IMPORT or EVENTS for a log of one's own, None for nothing yet."""
    if (home / RECORD).exists():
        return (home / RECORD).read_text()
    if read_market(home):
        return MARKET
    if (home / "imports").exists():
        return IMPORT
    has_events = any((home / "landing").glob("*/*.jsonl")) or (home / "lake" / "raw_events").exists()
    return EVENTS if has_events else None


def require_no_other(home: Path, wanted: str) -> None:
    """Raises CommandError where `home` holds something else than is to be added to it."""
    held = held_by(home)
    if held not in (None, wanted):
        raise CommandError(
            f"{home} holds {TOLD[held]}, and a lake has one log: set CLICKLAKE_HOME to another folder, or stop the"
            " platform and delete this one"
        )
