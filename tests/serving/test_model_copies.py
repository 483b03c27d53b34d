import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from data_contracts.model_versions import RegisteredVersion, Verdict
from serving.model_copies import KEPT_SECONDS, DamagedCopyError, ModelCopies

VERDICT = Verdict("promote", ("it is better",), ({"slice": "all"},), {"clicks": 3})
VERSION = RegisteredVersion("ad_ctr", "7", "run-1", {"a": "b"}, {"log_loss": 0.1}, VERDICT, ("champion",), {})


@pytest.fixture
def copies(tmp_path: Path) -> ModelCopies:
    return ModelCopies(tmp_path / "models")


def bringing(text: str) -> Callable[[Path], Path]:
    def download(folder: Path) -> Path:
        inner = folder / "some" / "where"
        inner.mkdir(parents=True)
        (inner / "MLmodel").write_text(text)
        return inner

    return download


def never(folder: Path) -> Path:
    raise AssertionError("it is there already")


def test_a_kept_version_is_found_whole(copies: ModelCopies) -> None:
    model = copies.keep(VERSION, bringing("trees"))
    assert (model / "MLmodel").read_text() == "trees"
    assert copies.checked("7") == (VERSION, model)
    assert copies.keep(VERSION, never) == model


def test_a_version_of_another_run_is_fetched_anew(copies: ModelCopies) -> None:
    copies.keep(VERSION, bringing("old"))
    other = RegisteredVersion("ad_ctr", "7", "run-2", {}, {}, None, (), {})
    assert (copies.keep(other, bringing("new")) / "MLmodel").read_text() == "new"
    assert copies.checked("7")[0] == other


def test_a_download_that_fails_leaves_no_copy(copies: ModelCopies) -> None:
    def failing(folder: Path) -> Path:
        raise OSError("the store is away")

    with pytest.raises(OSError, match="away"):
        copies.keep(VERSION, failing)
    with pytest.raises(FileNotFoundError):
        copies.checked("7")
    assert (copies.keep(VERSION, bringing("trees")) / "MLmodel").exists()


@pytest.mark.parametrize("change", ["more", "less", "other", "no manifest"])
def test_a_changed_copy_is_put_aside(copies: ModelCopies, tmp_path: Path, change: str) -> None:
    model = copies.keep(VERSION, bringing("trees"))
    if change == "more":
        (model / "extra.py").write_text("")
    elif change == "less":
        (model / "MLmodel").unlink()
    elif change == "other":
        (model / "MLmodel").write_text("treez")
    else:
        (model.parent / "manifest.json").unlink()
    with pytest.raises(DamagedCopyError, match="the copy of version 7 is damaged"):
        copies.checked("7")
    assert [each.name.startswith("7.damaged.") for each in (tmp_path / "models").iterdir()] == [True]


def test_aliases_are_remembered_and_what_none_names_is_cleared_in_time(copies: ModelCopies, tmp_path: Path) -> None:
    assert copies.aliases() == {}
    copies.keep(VERSION, bringing("trees"))
    copies.remember({"champion": "8"})
    assert copies.aliases() == {"champion": "8"}
    assert copies.checked("7")
    long_ago = (tmp_path / "models" / "7").stat().st_mtime - KEPT_SECONDS - 1
    os.utime(tmp_path / "models" / "7", (long_ago, long_ago))
    copies.remember({"champion": "7"})
    assert copies.checked("7")
    copies.remember({"champion": "8"})
    with pytest.raises(FileNotFoundError):
        copies.checked("7")


@pytest.mark.parametrize("text", ["", "[]", "{", json.dumps(3)])
def test_damaged_aliases_name_nothing(copies: ModelCopies, tmp_path: Path, text: str) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "aliases.json").write_text(text)
    assert copies.aliases() == {}
