"""The online snapshot's names, keys and values, the swap of `current`, and the one a moment could have seen."""

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.labels import HOUR
from data_contracts.snapshot import (
    PUBLISH_DELAY,
    SnapshotMeta,
    entity_key,
    make_current,
    packed_counts,
    sha256,
    snapshot_file,
    snapshot_time,
    state_checksum,
    stated_checksum,
    stored_key,
    unpacked_counts,
)

LAYOUT = {"ad_id": ["ad_impressions_1d", "ad_clicks_1d"], "ad_id|position": []}
META = SnapshotMeta(1_575_154_800, LAYOUT, 60_000, 287, ["ad_impressions_1d", "ad_clicks_1d"])
int64 = st.integers(-(2**63), 2**63 - 1)


def test_keys_are_columns_a_zero_byte_and_the_entity():
    assert entity_key("ad_id|position", ["men|14", "3"]) == b"ad_id|position\0men\\|14|3"
    assert stored_key("ad_id", "m\u00e9n") == b"ad_id\0m\xc3\xa9n"


entities = st.lists(st.text(alphabet="a|\\\0"), min_size=1, max_size=3)


@given(st.sampled_from(["ad_id", "user_id", "ad_id|position"]), entities, entities)
def test_two_entities_never_share_a_key(keys, one, other):
    assert (entity_key(keys, one) == entity_key(keys, other)) == (one == other)


def test_counts_are_little_endian_integers_of_eight_bytes():
    assert packed_counts([1, 258]) == b"\x01\0\0\0\0\0\0\0\x02\x01\0\0\0\0\0\0"


@given(st.lists(int64))
def test_counts_come_back_as_they_were_packed(counts):
    assert unpacked_counts(packed_counts(counts)) == tuple(counts)


def test_meta_comes_back_as_it_was_packed():
    assert SnapshotMeta.unpacked(META.packed()) == META


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"3", b"\xff", b'{"as_of": 1}', META.packed()[:-1]])
def test_what_is_no_snapshots_meta_is_refused(content):
    with pytest.raises((ValueError, TypeError)):
        SnapshotMeta.unpacked(content)


def test_current_points_at_the_newest_and_is_swapped_in_one_step(tmp_path):
    one, other = snapshot_file(tmp_path, 3_600), snapshot_file(tmp_path, 7_200)
    assert one == tmp_path / "3600.lmdb"
    one.write_bytes(b"one")
    other.write_bytes(b"other")
    make_current(tmp_path, one)
    with (tmp_path / "current").open("rb") as reader:
        make_current(tmp_path, other)
        assert reader.read() == b"one"
    assert (tmp_path / "current").read_bytes() == b"other"
    assert (tmp_path / "current").readlink() == Path("7200.lmdb")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["3600.lmdb", "7200.lmdb", "current"]


def test_a_link_left_by_a_publisher_that_died_is_no_obstacle(tmp_path):
    (tmp_path / f".current.{os.getpid()}").symlink_to("nothing")
    make_current(tmp_path, snapshot_file(tmp_path, 3_600))
    assert (tmp_path / "current").readlink() == Path("3600.lmdb")


def test_a_checksum_holds_for_the_very_file_that_it_was_stated_of(tmp_path: Path) -> None:
    building, file = tmp_path / "building", tmp_path / "3600.lmdb"
    building.write_bytes(b"abc")
    assert stated_checksum(building) is None
    state_checksum(building, file)
    building.rename(file)
    assert stated_checksum(file) == sha256(file) == hashlib.sha256(b"abc").hexdigest()
    file.write_bytes(b"abcd")
    assert stated_checksum(file) is None


@pytest.mark.parametrize("text", ["", "3", "3 4 5 6", "three 0 abc"])
def test_a_damaged_checksum_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "3600.lmdb").write_bytes(b"abc")
    (tmp_path / "3600.lmdb.sha256").write_text(text)
    assert stated_checksum(tmp_path / "3600.lmdb") is None


TEN = 10 * HOUR


@pytest.mark.parametrize(
    ("event_time", "as_of"),
    [
        pytest.param(TEN + 900, TEN, id="published just now"),
        pytest.param(TEN + 899, 9 * HOUR, id="one second before it is published"),
        pytest.param(TEN + 899.999999, 9 * HOUR, id="one microsecond before it is published"),
        pytest.param(TEN, 9 * HOUR, id="on the hour"),
        pytest.param(TEN + 3599, TEN, id="end of the hour"),
        pytest.param(11 * HOUR + 899, TEN, id="the next one is not out yet"),
    ],
)
def test_serving_holds_a_snapshot_a_quarter_of_an_hour_after_its_as_of(event_time, as_of):
    assert snapshot_time(event_time) == as_of


@given(st.integers(0, 4_000_000_000))
def test_a_snapshot_is_a_full_hour_already_published_and_the_newest_such(event_time):
    as_of = snapshot_time(event_time)
    assert as_of % HOUR == 0
    assert as_of + PUBLISH_DELAY <= event_time < as_of + HOUR + PUBLISH_DELAY
