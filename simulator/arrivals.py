"""How a day's events reach the platform: at once, late, twice, or broken on the way."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np

from data_contracts.landing import DatedRows
from simulator.knobs import Arrival
from simulator.population import HOURS_A_DAY, Ads
from simulator.rows import instants, objects
from simulator.traffic import SECOND

SECOND_TELLING_SECONDS = 60.0
"""Mean time after which what is told twice comes again."""
TABLES = ("ad_impressions", "clicks", "ads", "users")
LINES_AT_ONCE = 20_000
BROKEN = (
    b'{"ad_id":"ad-00000","impression_id":"broken-%d","timestamp":"yesterday","user_id":"nobody"}',
    b'{"ad_id":"ad-00000","impression_id":"broken-%d","position":"top","timestamp":"2026-01-01T00:00:00Z","user_id":"x"}',
    b'{"impression_id":"broken-%d","timestamp":"2026-01-01T00:00:00Z","user_id":"nobody"}',
)
"""Rows that ad_impressions does not take: a time that is none, a position that is none, no ad."""


@dataclass(frozen=True)
class Lines:
    """Rows on their way to landing: when each arrives (microseconds from the market's start), its table (a place in
    TABLES) and the row itself."""

    received: np.ndarray
    table: np.ndarray
    row: np.ndarray

    def __len__(self) -> int:
        return len(self.received)

    @classmethod
    def of(cls, table: str, received: np.ndarray, rows: Sequence[bytes]) -> "Lines":
        return cls(received, np.full(len(rows), TABLES.index(table), np.int8), objects(rows))

    @classmethod
    def joined(cls, parts: Sequence["Lines"]) -> "Lines":
        return cls(*(np.concatenate([getattr(part, column.name) for part in parts]) for column in fields(cls)))

    def at(self, chosen: np.ndarray) -> "Lines":
        """The lines at these places, or where this is true."""
        return Lines(self.received[chosen], self.table[chosen], self.row[chosen])

    def batches(self, start: int) -> Iterator[list[DatedRows]]:
        """In the order in which they arrive, so many at a time, and in each a batch a table; the market starts at
        `start`, in microseconds of the epoch."""
        order = np.argsort(self.received, kind="stable")
        for first in range(0, len(self), LINES_AT_ONCE):
            places = order[first : first + LINES_AT_ONCE]
            tables = self.table[places]
            yield [_batch(self.at(places[tables == number]), name, start) for number, name in enumerate(TABLES)]


def _batch(lines: Lines, table: str, start: int) -> DatedRows:
    return DatedRows(table, instants(lines.received + start), lines.row.tolist())


def received(time: np.ndarray, arrival: Arrival, random: np.random.Generator) -> np.ndarray:
    """When events of these times arrive: after an exponential time, of seconds or, for the late share, of hours."""
    is_late = random.random(len(time)) < arrival.late_share
    mean = np.where(is_late, arrival.late_hours * 3600, arrival.seconds)
    return time + (random.exponential(mean) * SECOND).astype(np.int64)


def told_twice(lines: Lines, arrival: Arrival, random: np.random.Generator) -> Lines:
    """A share of the lines again, a while later."""
    again = lines.at(random.random(len(lines)) < arrival.duplicate_share)
    later = (random.exponential(SECOND_TELLING_SECONDS, len(again)) * SECOND).astype(np.int64)
    return Lines(again.received + later, again.table, again.row)


def broken(lines: Lines, arrival: Arrival, random: np.random.Generator) -> Lines:
    """Lines of broken clients beside these, at the same times."""
    places = np.flatnonzero(random.random(len(lines)) < arrival.malformed_share)
    numbers = random.integers(1 << 40, size=len(places)).tolist()
    rows = [BROKEN[place % len(BROKEN)] % number for place, number in enumerate(numbers)]
    return Lines.of(TABLES[0], lines.received[places], rows)


def launched(ads: Ads, day: int) -> np.ndarray:
    """The numbers of the ads that are told of on a day; on the first, those that ran before too."""
    launch_day = np.maximum(ads.launch // HOURS_A_DAY, 0)
    return np.flatnonzero(launch_day == day)
