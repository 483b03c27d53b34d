import json
from itertools import count

import pytest

from bench.event_load import Load, Requests


@pytest.mark.parametrize("kind", ["impression", "click"])
@pytest.mark.parametrize("size", [1, 3])
def test_requests_are_whole_and_name_no_event_twice(kind, size):
    requests = Requests(Load(kind, size, 1), count())
    seen = []
    for _ in range(4):
        head, _, body = next(requests).partition(b"\r\n\r\n")
        assert head.startswith(b"POST /event/%s HTTP/1.1\r\n" % kind.encode())
        assert int(head.rpartition(b" ")[2]) == len(body)
        events = json.loads(body)
        seen += [event[f"{kind}_id"] for event in (events if size > 1 else [events])]
    assert len(set(seen)) == len(seen) == 4 * size
