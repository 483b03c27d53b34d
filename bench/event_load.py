"""Events as requests, made quickly, no id twice."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from bench.http_load import post

CLOCK = "2019-11-30T23:59:59Z"
"""When the events are told."""
EVENTS_A_USER = 5
"""Consecutive events that name the same user."""
IMPRESSION = (
    b'{"impression_id":"00000000-0000-4000-8000-%012x","user_id":"user-%012d","ad_id":"men-14",'
    b'"timestamp":"2019-11-30T23:00:00.123456Z","device_type":"phone","location":"DE-BE","campaign_id":"men",'
    b'"position":2,"features":{"site":"news","hour":12,"is_new":true}}'
)
CLICK = (
    b'{"click_id":"00000000-0000-4000-8000-%012x","impression_id":"00000000-0000-4000-8000-%012d",'
    b'"timestamp":"2019-11-30T23:00:30.123456Z"}'
)


@dataclass(frozen=True)
class Load:
    """What is asked: `size` events a request (1: no array) over `connections` at once, each waiting for its answer."""

    kind: str
    size: int
    connections: int

    @property
    def name(self) -> str:
        return f"{self.kind}s, {'singles' if self.size == 1 else f'arrays of {self.size}'}, {self.connections} conn."


class Requests:
    """Requests without end, no event id twice."""

    def __init__(self, load: Load, numbers: Iterator[int]) -> None:
        self._path = b"/event/" + load.kind.encode()
        self._event = IMPRESSION if load.kind == "impression" else CLICK
        self._size, self._numbers = load.size, numbers

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        event = self._event
        events = [event % (number, number // EVENTS_A_USER) for number in islice(self._numbers, self._size)]
        body = events[0] if self._size == 1 else b"[%s]" % b",".join(events)
        return post(self._path, body)
