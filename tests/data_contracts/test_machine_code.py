"""Machine code from one process to the next, and what becomes of it when it is torn."""

import subprocess
import sys
from pathlib import Path

import pytest

from data_contracts import machine_code
from data_contracts.feature_set_files import ROOT

FEATURES = """from data_contracts.features import Count, DAY
COUNTS = (Count(("ad_id",), "clicks", DAY),)
FACTOR = {}
def doubled(ad_clicks_1d): return FACTOR * ad_clicks_1d
"""
PROGRAM = """
import sys
from pathlib import Path
import numpy as np
from data_contracts import machine_code
from data_contracts.compiled import compiled
from data_contracts.feature_set_files import load_feature_set
machine_code.FOLDER = Path(sys.argv[1])
print(compiled(load_feature_set(Path(sys.argv[2])))(np.array([[1.0, 0.0, 21.0]]))[0, 0])
"""


@pytest.fixture
def features(tmp_path: Path) -> Path:
    file = tmp_path / "mine.py"
    file.write_text(FEATURES.format(2))
    return file


def run(folder: Path, features: Path) -> str:
    """What another process makes of the row of 21 clicks."""
    command = [sys.executable, "-c", PROGRAM, str(folder), str(features)]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def states(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mtime_ns for file in folder.rglob("*") if file.is_file()}


def test_the_next_process_takes_the_code_that_is_there(tmp_path, features):
    kept = tmp_path / "kept"
    assert run(kept, features) == "42.0"
    before = states(kept)
    assert {name.rpartition(".")[2] for name in before} == {"py", "sha256", "nbi", "nbc"}
    assert run(kept, features) == "42.0"
    assert states(kept) == before


def test_other_functions_are_other_code(tmp_path, features):
    kept = tmp_path / "kept"
    assert run(kept, features) == "42.0"
    features.write_text(FEATURES.format(3))
    assert run(kept, features) == "63.0"
    assert len(list(kept.glob("*.py"))) == 2


@pytest.mark.parametrize("suffix", ["nbc", "nbi"])
@pytest.mark.parametrize("is_cut", [True, False])
def test_code_that_is_torn_is_made_again(tmp_path, features, suffix, is_cut):
    kept = tmp_path / "kept"
    run(kept, features)
    (file,) = kept.rglob(f"*.{suffix}")
    whole = file.read_bytes()
    middle = len(whole) // 2
    file.write_bytes(whole[:middle] if is_cut else whole[:middle] + bytes(64) + whole[middle + 64 :])
    assert run(kept, features) == "42.0"
    before = states(kept)
    assert run(kept, features) == "42.0"
    assert states(kept) == before


def test_where_nothing_can_be_written_it_is_compiled_all_the_same(tmp_path, features):
    (tmp_path / "a file").touch()
    assert run(tmp_path / "a file" / "kept", features) == "42.0"


def test_a_source_is_named_by_all_it_is_made_of(tmp_path, monkeypatch):
    monkeypatch.setattr(machine_code, "FOLDER", tmp_path)
    names = {machine_code.kept(source, made_of) for source in ("a", "b") for made_of in ("", "c")}
    assert len(names) == 4
    assert None not in names


def test_the_same_definitions_in_another_file_are_the_same_code(tmp_path, features):
    kept = tmp_path / "kept"
    run(kept, features)
    before = states(kept)
    (tmp_path / "bundle").mkdir()
    assert run(kept, features.rename(tmp_path / "bundle" / "mine.py")) == "42.0"
    assert states(kept) == before
