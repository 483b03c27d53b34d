"""The keyed pseudonym and the key's file."""

import multiprocessing
import stat
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.pseudonym import load_key, pseudonym

KEY = bytes(range(32))


def test_the_pseudonym_is_the_hmac_of_purpose_and_id_in_the_shape_of_a_uuid():
    # printf 'user/v1ann' | openssl dgst -sha256 -mac HMAC -macopt hexkey:000102...1f
    assert pseudonym(KEY, "ann") == "7fa90f6e-4255-4565-2422-c499ec0e0df9"


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_a_pseudonym_is_a_uuid_and_always_the_same(user_id):
    made = pseudonym(KEY, user_id)
    assert str(uuid.UUID(made)) == made == pseudonym(KEY, user_id)


def test_another_key_or_another_user_gives_another_pseudonym():
    made = {pseudonym(KEY, "ann"), pseudonym(KEY, "Ann"), pseudonym(KEY, "ann "), pseudonym(bytes(32), "ann")}
    assert len(made) == 4


def test_the_key_is_made_once_for_its_owner_only(tmp_path):
    path = tmp_path / "secrets" / "pseudonym.key"
    key = load_key(path)
    assert (len(key), load_key(path), path.read_bytes()) == (32, key, key)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["pseudonym.key"]


def test_two_installations_have_two_keys(tmp_path):
    assert load_key(tmp_path / "one" / "key") != load_key(tmp_path / "other" / "key")


@pytest.mark.parametrize("content", [b"", b"short", bytes(33)])
def test_a_damaged_key_is_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "key"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"holds {len(content)} bytes, a pseudonym key has 32"):
        load_key(path)
    assert path.read_bytes() == content


def _load_together(path: Path, start, keys) -> None:
    start.wait()
    try:
        keys.put(load_key(path))
    except ValueError as error:
        keys.put(str(error))


def test_processes_that_start_together_get_the_same_key(tmp_path):
    context = multiprocessing.get_context("fork")
    for attempt in range(10):
        start, keys = context.Barrier(4), context.Queue()
        path = tmp_path / str(attempt) / "key"
        children = [context.Process(target=_load_together, args=(path, start, keys)) for _ in range(4)]
        for child in children:
            child.start()
        found = {keys.get(timeout=30) for _ in children}
        for child in children:
            child.join()
        assert found == {path.read_bytes()}


def test_a_process_that_died_while_making_the_key_leaves_none_behind(tmp_path, monkeypatch):
    path = tmp_path / "key"

    def killed(descriptor: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("os.fsync", killed)
        load_key(path)
    assert not path.exists()
    assert len(load_key(path)) == 32
