import os
import stat
from pathlib import Path

import pytest

from data_contracts.disk import replace_whole, sync


def test_a_replaced_file_holds_the_text_and_nothing_is_left_beside_it(tmp_path):
    for text in ("first", "second"):
        replace_whole(tmp_path / "note", text)
        assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("note", text)]


def test_the_old_text_stays_when_the_new_one_does_not_reach_the_disk(tmp_path, monkeypatch):
    replace_whole(tmp_path / "note", "old")

    def failing(descriptor: int) -> None:
        raise OSError(5, "no disk")

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(OSError, match="no disk"):
        replace_whole(tmp_path / "note", "new")
    assert (tmp_path / "note").read_text() == "old"


def test_a_secret_is_for_its_owner_only_from_the_first_byte_on(tmp_path, monkeypatch):
    modes = []
    monkeypatch.setattr(os, "fsync", lambda number: modes.append(stat.S_IMODE(os.fstat(number).st_mode)))
    replace_whole(tmp_path / "note", "text", mode=0o600)
    assert modes[0] == stat.S_IMODE((tmp_path / "note").stat().st_mode) == 0o600


def test_file_and_folder_are_synced(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(str(Path(f"/proc/self/fd/{number}").readlink())))
    replace_whole(tmp_path / "note", "text")
    sync(tmp_path)
    assert synced == [str(tmp_path / f"note.{os.getpid()}"), str(tmp_path), str(tmp_path)]
