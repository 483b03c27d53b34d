"""An uploaded file ends as XGBoost's own file with finite margins or as a refusal, and never ends us.

The controls load the same files without the check, in a process as confined, and see that process die.
"""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost

from data_contracts.feature_set_files import feature_set_path, load_feature_set
from serving import booster_check
from serving.booster_check import REJECTED, golden_rows, loaded_and_resaved, run_confined
from serving.booster_file import BoosterFileError
from tests.serving.boosters import KINDS, MODEL, NAMES, TREE, damaged, document, drawn_rows, grown, saved

ROWS = drawn_rows(7, 8)
UNCHECKED = """
import sys, numpy
sys.modules |= dict.fromkeys(("sklearn", "pandas"))
import xgboost
with open(sys.argv[1], "rb") as file:
    booster = xgboost.Booster(model_file=bytearray(file.read()))
booster.inplace_predict(numpy.zeros((8, 3), numpy.float32), predict_type="margin")
"""
CONFINED = "import sys; from serving import booster_check as check; "


def refused(content: bytes) -> BoosterFileError:
    with pytest.raises(BoosterFileError) as caught:
        loaded_and_resaved(content, NAMES, ROWS)
    return caught.value


def ended(folder: Path, code: str, *arguments: str) -> BoosterFileError:
    """How a process that runs `code` in the check's place ends."""
    with pytest.raises(BoosterFileError) as caught:
        run_confined([sys.executable, "-c", code, *arguments], folder)
    assert (caught.value.code, str(caught.value)) == ("model_rejected", REJECTED)
    return caught.value


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "more",
    [{"max_depth": 1}, {"max_depth": 8, "names": NAMES}, {"booster": "dart", "rate_drop": 0.5}, {"base_score": 0.001}],
    ids=str,
)
def test_a_sound_model_comes_back_with_its_own_margins(kind: str, more: dict[str, Any]) -> None:
    booster = grown(**more)
    booster.set_attr(note="canary")
    expected = booster.inplace_predict(ROWS, predict_type="margin")
    found = loaded_and_resaved(saved(booster, kind), NAMES, ROWS)
    assert found.margins.tobytes() == expected.tobytes()
    again = xgboost.Booster(model_file=bytearray(found.content))
    assert again.inplace_predict(ROWS, predict_type="margin").tobytes() == expected.tobytes()
    assert saved(again, "ubj") == found.content
    assert again.attributes() == {}
    assert b"canary" not in found.content


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "malformed"),
        (b"\x80\x04K\x01.", "unsupported_kind"),
        (b"{}", "malformed"),
        (saved(grown(objective="reg:logistic"), "ubj"), "wrong_objective"),
        (saved(grown(names=["slot", "ctr", "hour"]), "ubj"), "wrong_features"),
        (b"{i\x01a" * 1_000, "over_limit"),
        (saved(grown(booster="gblinear", max_depth=None), "json"), "uncovered"),
    ],
)
def test_a_refusal_comes_back_from_the_process(content: bytes, code: str) -> None:
    error = refused(content)
    assert (error.code, error.signal) == (code, None)


def test_a_file_of_too_many_bytes_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(booster_check, "MOST_BYTES", 10)
    monkeypatch.setattr(subprocess, "run", None)
    assert refused(b"{" * 11).code == "too_large"


CRASHES = {
    "two trees of one id": ((*MODEL, "trees", 1, "id"), 0),
    "a child out of range": ((*TREE, "left_children", 0), 2**30),
}


@pytest.mark.parametrize("case", CRASHES)
def test_unchecked_these_kill_the_process_that_loads_them_and_checked_they_do_not(tmp_path: Path, case: str) -> None:
    content = damaged(document(grown()), *CRASHES[case])
    (tmp_path / "file").write_bytes(content)
    unchecked = ended(tmp_path, UNCHECKED, str(tmp_path / "file"))
    assert unchecked.signal in (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT)
    checked = refused(content)
    assert (checked.code, checked.signal) == ("malformed", None)


def test_what_xgboost_refuses_is_rejected_without_its_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b'{"canary": 1}')
    assert ended(tmp_path, UNCHECKED, str(tmp_path / "file")).signal is None


def test_a_process_that_ends_without_a_word_is_a_rejection(tmp_path: Path) -> None:
    for exit_code in (1, 3):
        assert ended(tmp_path, f"raise SystemExit({exit_code})").signal is None


def test_a_process_that_takes_too_long_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(booster_check, "WALL_SECONDS", 0.2)
    assert ended(tmp_path, "import time; time.sleep(600)").signal == signal.SIGKILL


def test_a_process_that_reckons_too_long_is_killed(tmp_path: Path) -> None:
    code = CONFINED + "check.CPU_SECONDS = 1; check.confine()\nwhile True: pass"
    assert ended(tmp_path, code).signal == signal.SIGXCPU


@pytest.mark.parametrize(
    "taken",
    [
        "bytearray(check.MEMORY_BYTES)",
        "check.Path(sys.argv[1], 'huge').write_bytes(bytes(check.MOST_BYTES + 1))",
        "[open('/dev/null') for _ in range(check.MOST_OPEN_FILES)]",
    ],
    ids=["memory", "a file's bytes", "open files"],
)
def test_a_process_gets_no_more_than_its_limits(tmp_path: Path, taken: str) -> None:
    run_confined([sys.executable, "-c", f"{CONFINED}held = {taken}", str(tmp_path)], tmp_path)
    ended(tmp_path, f"{CONFINED}check.confine(); held = {taken}", str(tmp_path))


def can_leave_the_network() -> bool:
    return subprocess.run(["unshare", "-rn", "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not can_leave_the_network(), reason="the kernel gives an ordinary user no network namespace")
def test_a_process_has_no_network(tmp_path: Path) -> None:
    only_loopback = "import socket; sys.exit([name for _, name in socket.if_nameindex()] != ['lo'])"
    run_confined([sys.executable, "-c", CONFINED + "check.confine(); " + only_loopback], tmp_path)


def test_a_process_has_no_secret_in_its_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLICKLAKE_KEY", "canary")
    code = "import os, sys; open(sys.argv[1], 'w').write(' '.join(sorted(os.environ)))"
    run_confined([sys.executable, "-c", code, str(tmp_path / "environ")], tmp_path)
    assert set((tmp_path / "environ").read_text().split()) == {
        "LC_ALL", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TMPDIR",
    }  # fmt: skip


def test_a_margin_that_is_not_finite_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = ROWS.copy()
    content = saved(grown(), "ubj")
    assert np.isfinite(loaded_and_resaved(content, NAMES, rows).margins).all()

    def without_margins(command: object, folder: Path) -> None:
        (folder / booster_check.RESAVED).write_bytes(content)
        (folder / booster_check.MARGINS).write_bytes(np.full(len(rows), np.nan, np.float32).tobytes())

    monkeypatch.setattr(booster_check, "run_confined", without_margins)
    assert refused(content).code == "model_rejected"


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    loaded_and_resaved(saved(grown(), "ubj"), NAMES, ROWS)
    refused(b"{}")
    assert list(tmp_path.iterdir()) == []


def test_golden_rows_are_finite_but_the_last() -> None:
    feature_set = load_feature_set(feature_set_path("ad_ctr"))
    rows = golden_rows(feature_set)
    assert rows.shape == (8, len(feature_set.features))
    assert rows.dtype == np.float32
    assert np.isfinite(rows[:-1]).all()
    assert np.isnan(rows[-1]).all()


def mutated(content: bytes, random: np.random.Generator) -> bytes:
    """With some bytes left out or put in twice, a few exchanged for any, or one for another of the file's own, which
    leaves more files readable."""
    changed = bytearray(content)
    place, length = int(random.integers(len(changed))), int(random.integers(1, 9))
    match random.integers(6):
        case 0:
            del changed[place : place + length]
        case 1:
            changed[place:place] = changed[place : place + length]
        case 2:
            for _ in range(random.integers(1, 5)):
                changed[random.integers(len(changed))] = random.integers(256)
        case _:
            changed[place] = changed[random.integers(len(changed))]
    return bytes(changed)


@pytest.mark.parametrize("count", [60, pytest.param(500, marks=pytest.mark.soak)])
def test_a_mutated_file_is_accepted_with_finite_margins_or_refused(count: int) -> None:
    """None is ended for taking too long either: that too is a signal."""
    random = np.random.default_rng(count)
    codes: dict[str, int] = {}
    contents = [saved(grown(trees=3, max_depth=depth, names=NAMES), kind) for kind in KINDS for depth in (1, 6)]
    for number in range(count):
        try:
            found = loaded_and_resaved(mutated(contents[number % len(contents)], random), NAMES, ROWS)
        except BoosterFileError as error:
            assert error.signal is None, f"mutation {number} of {count} ended XGBoost"
            code: str = error.code
        else:
            assert np.isfinite(found.margins).all()
            code = "accepted"
        codes[code] = codes.get(code, 0) + 1
    assert codes["malformed"] >= count / 4
    assert codes["accepted"] >= count / 20
