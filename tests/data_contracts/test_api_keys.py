"""API keys: what is shown once, what is kept, and what a key may do when."""

import hashlib
import json
import multiprocessing
import re
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from data_contracts.api_keys import add, key_ring, listed, remove

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ALL = {"predict", "ingest", "analytics", "model:upload", "model:activate", "privacy", "admin"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "secrets" / "api_keys.json"


def test_a_key_is_its_id_and_32_random_bytes_and_only_its_hash_is_kept(path):
    keys = [add(path, ["predict"], "shop", NOON) for _ in range(2)]
    assert all(re.fullmatch(r"clk_[0-9a-f]{8}_[A-Za-z0-9_-]{43}", key) for key in keys)
    assert len({key[13:] for key in keys}) == 2
    assert json.loads(path.read_text())["keys"][0] == {
        "id": keys[0][4:12],
        "name": "shop",
        "roles": ["predict"],
        "created_at": "2026-01-01T12:00:00+00:00",
        "expires_at": None,
        "sha256": hashlib.sha256(keys[0].encode()).hexdigest(),
    }
    assert not any(key[13:] in path.read_text() for key in keys)


def test_the_file_is_for_its_owner_only(path):
    for _ in range(2):
        add(path, ["predict"], "", NOON)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["api_keys.json", "api_keys.lock"]


def test_a_key_may_what_its_roles_say_and_an_admin_may_all(path):
    both, admin = add(path, ["predict", "ingest"], "", NOON), add(path, ["admin"], "", NOON)
    ring = key_ring(path)
    assert ring.roles_of(both, NOON) == {"predict", "ingest"}
    assert ring.roles_of(admin, NOON) == ALL


def test_a_key_expires_at_its_instant_and_one_without_never(path):
    short = add(path, ["predict"], "", NOON, NOON + timedelta(days=1))
    long = add(path, ["predict"], "", NOON)
    ring, end = key_ring(path), NOON + timedelta(days=1)
    assert ring.roles_of(short, end - timedelta(microseconds=1)) == {"predict"}
    assert ring.roles_of(short, end) is None
    assert ring.roles_of(long, NOON + timedelta(days=10_000)) == {"predict"}


def test_what_is_not_exactly_a_known_key_may_nothing(path):
    key, other = add(path, ["admin"], "", NOON), add(path, ["predict"], "", NOON)
    ring = key_ring(path)
    end = "A" if key[-1] != "A" else "B"
    for wrong in ("", "clk_", key[:-1], key[:-1] + end, key + "A", f" {key}", f"{key}\n", key.upper(), key[13:]):
        assert ring.roles_of(wrong, NOON) is None
    assert ring.roles_of(key[:13] + other[13:], NOON) is None
    assert ring.roles_of(f"clk_00000000_{key[13:]}", NOON) is None
    assert ring.roles_of(key[:-1] + "é", NOON) is None
    assert key_ring(path.with_name("none.json")).roles_of(key, NOON) is None


def test_a_removed_key_is_gone_and_the_others_stay_in_their_order(path):
    keys = [add(path, ["predict"], name, NOON) for name in ("one", "two", "three")]
    remove(path, keys[1][4:12])
    assert [key.name for key in listed(path)] == ["one", "three"]
    assert [key_ring(path).roles_of(key, NOON) for key in keys] == [{"predict"}, None, {"predict"}]
    with pytest.raises(ValueError, match="there is no key with this id"):
        remove(path, keys[1][4:12])


@pytest.mark.parametrize("roles", [[], ["root"], ["predict", "Ingest"]])
def test_a_role_that_is_none_is_refused_with_those_there_are(path, roles):
    with pytest.raises(ValueError, match="predict, ingest, analytics, model:upload, model:activate, privacy, admin"):
        add(path, roles, "", NOON)
    assert listed(path) == ()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("{", ""),
        ('"keys"', '"kees"'),
        ('"predict"', '"root"'),
        ('["predict"]', '"predict"'),
        ('["predict"]', "[]"),
        ('["predict"]', "7"),
        ('"name": ""', '"name": 7'),
        ('"name": ""', '"names": ""'),
        ("+00:00", ""),
        ('"expires_at": null', '"expires_at": 7'),
        ('"expires_at": null', '"expires_at": "soon"'),
        ('"sha256": "', '"sha256": "0'),
        ('"id": "', '"id": "0'),
    ],
)
def test_a_damaged_file_is_refused_by_name_and_left_alone(path, old, new):
    add(path, ["predict"], "", NOON)
    text = "".join(path.read_text().split("\n")).replace('[    "predict"   ]', '["predict"]')
    assert old in text
    path.write_text(text.replace(old, new, 1))
    for reading in (key_ring, listed, lambda path: add(path, ["predict"], "", NOON), lambda path: remove(path, "x")):
        with pytest.raises(ValueError, match=r"api_keys\.json is damaged \(.*\): put a copy back, or delete it"):
            reading(path)
    assert path.read_text() == text.replace(old, new, 1)


def _add_many(path: Path, start, count: int) -> None:
    start.wait()
    for _ in range(count):
        add(path, ["predict"], "", NOON)


def test_no_key_is_lost_to_another_writer(path):
    context = multiprocessing.get_context("fork")
    start = context.Barrier(4)
    writers = [context.Process(target=_add_many, args=(path, start, 10)) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(listed(path)) == 40


def test_a_writer_that_dies_before_its_disk_has_it_leaves_the_keys_as_they_were(path, monkeypatch):
    key = add(path, ["predict"], "", NOON)

    def killed(descriptor: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("os.fsync", killed)
        remove(path, key[4:12])
    assert key_ring(path).roles_of(key, NOON) == {"predict"}
    remove(path, key[4:12])
    assert listed(path) == ()
