import os
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from data_contracts.settings import Settings
from data_contracts.snapshot import packed_counts, state_checksum
from serving.counts import Snapshot, SnapshotWatch

NOON = 1575115200
AT_NOON = datetime(2019, 11, 30, 12, tzinfo=UTC)


def ad_counts(snapshot: Snapshot, ad_id: str) -> dict[str, int]:
    lookup = snapshot.lookup
    (row,) = lookup.counts(lookup.ads([ad_id], {}), [1], {"user_id": "u"}, lookup.user("u")).tolist()
    return {name: count for name, count in zip(lookup.names, row, strict=True) if count}


@pytest.fixture
def watch(settings: Settings) -> SnapshotWatch:
    return SnapshotWatch(settings.snapshots)


@pytest.mark.parametrize(
    ("age", "is_fresh"),
    [(-301, False), (-300, True), (0, True), (75 * 60, True), (7200, True), (7201, False), (10**9, False)],
)
def test_a_snapshot_is_fresh_up_to_two_cadences(publish: Callable[..., Path], age: int, is_fresh: bool) -> None:
    assert Snapshot(publish()).is_fresh(AT_NOON + timedelta(seconds=age)) is is_fresh


def test_a_newer_snapshot_is_noticed_and_the_old_one_stays_readable(
    watch: SnapshotWatch, publish: Callable[..., Path]
) -> None:
    old_file = publish(as_of=NOON - 3600, entities={("ad_id", "shoes"): (1, 0)})
    watch.check()
    old = watch.current
    assert old is not None
    publish(as_of=NOON, entities={("ad_id", "shoes"): (2, 0)})
    old_file.unlink()
    watch.check()
    assert watch.current is not None
    assert ad_counts(watch.current, "shoes") == {"ad_impressions_7d": 2.0}
    assert ad_counts(old, "shoes") == {"ad_impressions_7d": 1.0}


def test_a_snapshot_published_again_for_the_same_hour_is_noticed(
    watch: SnapshotWatch, publish: Callable[..., Path]
) -> None:
    publish(entities={("ad_id", "shoes"): (1, 0)})
    watch.check()
    publish(entities={("ad_id", "shoes"): (2, 0)})
    watch.check()
    assert watch.current is not None
    assert ad_counts(watch.current, "shoes") == {"ad_impressions_7d": 2.0}


def test_an_unchanged_snapshot_is_not_opened_again(watch: SnapshotWatch, publish: Callable[..., Path]) -> None:
    publish()
    watch.check()
    first = watch.current
    watch.check()
    assert watch.current is first


def test_no_snapshot_is_said_and_the_one_in_use_outlives_its_link(
    watch: SnapshotWatch, publish: Callable[..., Path], settings: Settings
) -> None:
    watch.check()
    assert (watch.current, watch.problem) == (None, "no snapshot of the counts is published")
    publish()
    watch.check()
    assert watch.problem == ""
    shutil.rmtree(settings.snapshots)
    watch.check()
    assert watch.current is not None
    counts = ad_counts(watch.current, "shoes")
    assert (counts["ad_impressions_7d"], counts["ad_clicks_7d"]) == (1000.0, 50.0)
    assert watch.problem == "no snapshot of the counts is published"


def flipped(content: bytes) -> bytes:
    return content.replace(b"impressions", b"\xff" * 11)


DAMAGES: list[Any] = [
    pytest.param(lambda content: b"", id="empty"),
    pytest.param(lambda content: b"no snapshot at all" * 1000, id="no LMDB"),
    pytest.param(lambda content: content[:8192], id="cut after the head"),
    pytest.param(lambda content: content[: len(content) // 2], id="cut in half"),
    pytest.param(lambda content: content[:8192] + bytes(len(content) - 8192), id="zeros"),
    pytest.param(lambda content: content[:8192] + b"\xff" * (len(content) - 8192), id="ones"),
    pytest.param(flipped, id="flipped"),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_snapshot_never_takes_over_and_is_reported(
    watch: SnapshotWatch, publish: Callable[..., Path], damage: Callable[[bytes], bytes]
) -> None:
    publish(as_of=NOON - 3600)
    watch.check()
    sound = watch.current
    many = {("ad_id", f"ad-{number}"): (number, 0) for number in range(2000)}
    file = publish(entities=many)
    content = file.read_bytes()
    file.unlink()
    file.write_bytes(damage(content))
    watch.check()
    assert watch.current is sound
    assert watch.problem.startswith(f"{NOON}.lmdb cannot be used: ")
    publish(entities=many)
    watch.check()
    assert watch.problem == ""
    assert watch.current is not sound


def stated(file: Path) -> Path:
    state_checksum(file, file)
    return file


def test_a_snapshot_as_it_was_published_is_opened_without_a_child_process(
    watch: SnapshotWatch, publish: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_child(*command: Any, **more: Any) -> None:
        raise AssertionError("it has a checksum")

    stated(publish())
    monkeypatch.setattr(subprocess, "run", no_child)
    watch.check()
    assert watch.current is not None


def test_a_snapshot_that_is_not_as_it_was_published_is_refused(
    watch: SnapshotWatch, publish: Callable[..., Path]
) -> None:
    """A count with one bit turned reads well, so only the checksum tells."""
    file = stated(publish())
    state, content = file.stat(), bytearray(file.read_bytes())
    place = content.index(packed_counts((1000, 50)))
    content[place] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    watch.check()
    assert watch.current is None
    assert watch.problem == f"{NOON}.lmdb cannot be used: it is not as it was published"


def test_a_sound_snapshot_of_another_format_is_told_once_and_the_next_one_taken(
    watch: SnapshotWatch, publish: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("tests.serving.conftest.META_KEY", b"meta")
        stated(publish(as_of=NOON - 3600))
    for _ in range(3):
        watch.check()
    assert watch.current is None
    assert watch.problem == f"{NOON - 3600}.lmdb cannot be used: it has no entry meta/2, as one of another version has"
    assert len(caplog.records) == 1
    stated(publish())
    watch.check()
    assert watch.problem == ""


def test_a_snapshot_that_could_not_be_read_once_is_tried_again(
    watch: SnapshotWatch, publish: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_more_files(path: Path) -> str:
        raise OSError(24, "Too many open files")

    stated(publish())
    with monkeypatch.context() as patch:
        patch.setattr("serving.counts.sha256", no_more_files)
        with pytest.raises(OSError, match="Too many"):
            watch.check()
    watch.check()
    assert watch.current is not None


def test_a_checksum_of_another_file_says_nothing(watch: SnapshotWatch, publish: Callable[..., Path]) -> None:
    stated(publish())
    publish(entities={("ad_id", "shoes"): (2, 0)})
    watch.check()
    assert watch.current is not None
    assert ad_counts(watch.current, "shoes") == {"ad_impressions_7d": 2}


def test_status_tells_state_and_age(watch: SnapshotWatch, publish: Callable[..., Path]) -> None:
    now = AT_NOON + timedelta(hours=3)
    assert watch.status(now)["state"] == "missing"
    publish()
    watch.check()
    assert watch.status(now) == {"state": "stale", "as_of": AT_NOON, "age_seconds": 10800.0, "problem": None}
