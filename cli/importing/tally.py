"""What an import has written so far, on disk: one that was cut off goes on after it, a whole one is not redone."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cli.importing.mapped_rows import Judged
from data_contracts.disk import replace_whole
from data_contracts.landing import instant_text

REASONS_LIMIT = 100
OTHER_REASONS = "other reasons"
"""Counts together what is beyond REASONS_LIMIT distinct reasons of a table."""


@dataclass
class Tally:
    """Rows, and rejected lines by reason, of each table; `member` and `line` are the last that is safely in landing,
    `newest` is the latest received_at of a row, as landing writes it."""

    rows: Counter[str] = field(default_factory=Counter)
    rejected: dict[str, Counter[str]] = field(default_factory=dict)
    member: str = ""
    line: int = 0
    newest: str = ""
    is_finished: bool = False

    def count(self, judged: Sequence[Judged]) -> None:
        """Adds these events."""
        if received := [event.received_at for event, reason in judged if not reason]:
            self.newest = max(self.newest, instant_text(max(received)))
        for (table, reason), number in Counter((event.table, reason) for event, reason in judged).items():
            if not reason:
                self.rows[table] += number
                continue
            reasons = self.rejected.setdefault(table, Counter())
            reasons[reason if reason in reasons or len(reasons) < REASONS_LIMIT else OTHER_REASONS] += number

    @property
    def events(self) -> int:
        """All of them, rejected ones too."""
        return self.rows.total() + sum(reasons.total() for reasons in self.rejected.values())


def read_tally(file: Path) -> Tally | None:
    """What an earlier run of the same import wrote; None when there was none. A damaged file is none, since importing
    again does no harm."""
    try:
        written = json.loads(file.read_text())
        rejected = {table: Counter(reasons) for table, reasons in written["rejected"].items()}
        done, place = written["is_finished"], (str(written["member"]), int(written["line"]), str(written["newest"]))
        return Tally(Counter(written["rows"]), rejected, *place, is_finished=bool(done))
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_tally(file: Path, tally: Tally) -> None:
    """Makes it known in one step that survives a power cut."""
    file.parent.mkdir(parents=True, exist_ok=True)
    replace_whole(file, json.dumps(vars(tally)))
