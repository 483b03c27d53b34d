"""For all events, however permuted, repeated and split over batches: the same tables, those that plain Python says."""

import hashlib
import os
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_contracts.landing import Event, instant_text
from data_contracts.landing_lines import event_line
from data_contracts.tables import AD_IMPRESSIONS, CLICKS, REJECTED_EVENTS
from spark_jobs.refine_events import refine_batch
from spark_jobs.rejections import SAME_ID
from tests.spark_jobs.conftest import NOON, click, impression

pytestmark = pytest.mark.spark
EXAMPLES = int(os.environ.get("CLICKLAKE_EXAMPLES", "3"))
POSITION_TOO_LOW = "position: below 1"


@st.composite
def events(draw):
    """An event of one of three ids, told at one of three times, of one of three days, whole or broken."""
    number, day = draw(st.integers(1, 3)), draw(st.integers(0, 2))
    received_at = NOON + timedelta(days=3, hours=draw(st.integers(0, 2)))
    columns = {"timestamp": instant_text(NOON + timedelta(days=day))}
    if draw(st.booleans()):
        return Event("clicks", received_at, click(number, **columns), draw(ORIGINS))
    position = draw(st.sampled_from([0, 1, 2]))
    return Event("ad_impressions", received_at, impression(number, position=position, **columns), draw(ORIGINS))


ORIGINS = st.sampled_from(["a.csv:1", "b.csv:2", "c.csv:3"])


@st.composite
def told(draw):
    """Events, and the same events told in batches: each at least once, in any order."""
    distinct = draw(st.lists(events(), min_size=1, max_size=8))
    again = draw(st.lists(st.sampled_from(distinct), max_size=6))
    order = draw(st.permutations(distinct + again))
    cuts = sorted(draw(st.lists(st.integers(0, len(order)), max_size=2)))
    batches = [order[start:end] for start, end in zip([0, *cuts], [*cuts, len(order)], strict=True)]
    return distinct, [batch for batch in batches if batch]


def content_hash(event):
    line = event_line(event, event.origin)
    return hashlib.sha256(line[line.index(b',"row":') + 7 : line.rindex(b',"_c":')]).hexdigest()


def plain_tables(distinct):
    """What the winner rule says of all events at once."""
    whole = [event for event in distinct if event.row.get("position") != 0]
    order = {id(event): (event.received_at, content_hash(event), event.origin) for event in distinct}
    winners, refused = {}, {}
    for event in sorted(whole, key=lambda event: order[id(event)]):
        winners.setdefault((event.table, key(event)), event)
    for event in sorted(distinct, key=lambda event: (event.received_at, event.origin)):
        winner = winners.get((event.table, key(event)))
        broken = event not in whole
        if broken or content_hash(winner) != content_hash(event):
            reason = POSITION_TOO_LOW if broken else SAME_ID
            refused.setdefault((event.table, content_hash(event), reason), (event.origin, event.received_at))
    rows = {(name, *order[id(event)]) for (name, _), event in winners.items()}
    return rows, {(*what, *where) for what, where in refused.items()}


def key(event):
    return event.row["click_id" if event.table == "clicks" else "impression_id"]


def lake_tables(lake):
    rows = set()
    for table in (AD_IMPRESSIONS, CLICKS):
        found = lake.read(table).select("received_at", "content_hash", "origin").collect()
        assert len(set(found)) == len(found)
        rows |= {(table.name, utc(row["received_at"]), row["content_hash"], row["origin"]) for row in found}
    columns = ("table_name", "content_hash", "reason", "origin", "received_at")
    refused = lake.read(REJECTED_EVENTS).select(*columns).collect()
    assert len(set(refused)) == len(refused)
    return rows, {(*row[:4], utc(row[4])) for row in refused}


def utc(moment):
    return moment.replace(tzinfo=NOON.tzinfo)


@given(told())
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="CLICKLAKE_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    database=None,
)
def test_any_order_and_repetition_of_events_gives_the_same_tables(copied_lake, landed, tmp_path, told):
    distinct, batches = told
    home = Path(tmp_path / "home")
    shutil.rmtree(home, ignore_errors=True)
    lake = copied_lake(home)
    for batch in batches:
        refine_batch(lake, landed(*batch), let_bad_batch_through=True)
    assert lake_tables(lake) == plain_tables(distinct)
