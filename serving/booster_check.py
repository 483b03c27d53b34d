"""Checks, loads, scores and saves again an uploaded model in a process of its own, so that a file that crashes XGBoost
crashes nothing else.

`python -m serving.booster_check FOLDER` first takes from itself what it does not need: memory, time, files and, where
the kernel lets an ordinary user do so, the network. Further processes are refused to an ordinary user, not to root. It
can still read what its user can read, but has no secret in its environment.
"""

import ctypes
import json
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_contracts.feature_set_files import ROOT
from data_contracts.features import FeatureSet
from serving.booster_file import MOST_BYTES, BoosterFileError, Code, booster_document, kind_of, ubj_bytes
from serving.booster_rules import checked_document

MEMORY_BYTES = 768 * 1024**2
"""Of address space. Importing XGBoost takes 0.2 GiB of it, the largest files that are let in 0.7 GiB in all."""
CPU_SECONDS, WALL_SECONDS = 8, 10
MOST_OPEN_FILES = 64
ENVIRONMENT = {"LC_ALL": "C.UTF-8", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
UPLOADED, FEATURE_NAMES, ROWS = "uploaded", "feature_names.json", "rows.float32"
RESAVED, MARGINS, REFUSAL = "resaved.ubj", "margins.float32", "refusal.json"
UNNEEDED: dict[str, Any] = {"sklearn": None, "pandas": None}
"""Not to be found by XGBoost, which otherwise imports them: a second and 0.3 GiB of address space."""
REJECTED = "the model could not be loaded and scored in a process of its own"
NOON = 1_575_115_200.0
"""2019-11-30T12:00:00Z, a request's time like any other."""

Rows = NDArray[np.float32]


@dataclass(frozen=True)
class Resaved:
    """A model as XGBoost itself wrote it (UBJ, trees only), and its margins of the golden rows."""

    content: bytes
    margins: Rows


def golden_rows(feature_set: FeatureSet) -> Rows:
    """Rows (8, features) that every model of the feature set must score: no history, one of everything, zeros, usual
    log-odds, huge numbers, nothing known."""
    width = len(feature_set.features)
    spread = np.linspace(-4, 4, width)
    rows = [
        feature_set.row({"position": 1.0, "timestamp": NOON}),
        feature_set.row(dict.fromkeys(feature_set.input_names, 1.0)),
        np.zeros(width),
        spread,
        -spread,
        np.full(width, 1e30),
        np.full(width, -1e30),
        np.full(width, np.nan),
    ]
    return np.array(rows, np.float32)


def loaded_and_resaved(content: bytes, feature_names: Sequence[str], rows: Rows) -> Resaved:
    """What XGBoost makes of an uploaded file, once it has passed booster_rules. Raises BoosterFileError, and OSError
    where there is no room for the files or the process."""
    if len(content) > MOST_BYTES:
        raise BoosterFileError("too_large", f"the file has over {MOST_BYTES:,} bytes")
    kind_of(content)
    with tempfile.TemporaryDirectory(prefix="booster-") as name:
        folder = Path(name)
        (folder / UPLOADED).write_bytes(content)
        (folder / FEATURE_NAMES).write_text(json.dumps(list(feature_names)))
        (folder / ROWS).write_bytes(np.ascontiguousarray(rows, np.float32).tobytes())
        run_confined([sys.executable, "-m", "serving.booster_check", name], folder)
        margins = np.frombuffer((folder / MARGINS).read_bytes(), np.float32)
        resaved = (folder / RESAVED).read_bytes()
    if margins.shape != (len(rows),) or not np.isfinite(margins).all() or kind_of(resaved) != "ubj":
        raise BoosterFileError("model_rejected", REJECTED)
    return Resaved(resaved, margins)


def run_confined(command: Sequence[str], folder: Path) -> None:
    """Runs the check's process to its end. Raises BoosterFileError with the refusal that it left in `folder`, or
    model_rejected when it crashed or took too long."""
    try:
        child = subprocess.run(
            command,
            cwd=ROOT,
            env=ENVIRONMENT | {"TMPDIR": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=WALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BoosterFileError("model_rejected", REJECTED, signal.SIGKILL) from None
    if child.returncode < 0:
        raise BoosterFileError("model_rejected", REJECTED, -child.returncode)
    if (folder / REFUSAL).exists():
        told = json.loads((folder / REFUSAL).read_bytes())
        raise BoosterFileError(told["code"], told["words"])
    if child.returncode:
        raise BoosterFileError("model_rejected", REJECTED)


def confine() -> None:
    """For the rest of this process's life; OSError where a limit cannot be set."""
    for limit, value in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, MOST_BYTES),
        (resource.RLIMIT_NOFILE, MOST_OPEN_FILES),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))  # SIGXCPU, then SIGKILL
    libc, user, network = ctypes.CDLL(None), 0x10000000, 0x40000000  # CLONE_NEWUSER, CLONE_NEWNET of sched.h
    libc.unshare(user | network)


def resave(folder: Path) -> None:
    """What the process is for; XGBoost sees only what was written anew from the checked document."""
    names = json.loads((folder / FEATURE_NAMES).read_text())
    document = checked_document(booster_document((folder / UPLOADED).read_bytes()), names)
    sys.modules |= UNNEEDED
    import xgboost  # not before: most bad files end above

    booster = xgboost.Booster({"nthread": 1}, model_file=bytearray(ubj_bytes(document)))
    content = booster.save_raw("ubj")
    rows = np.frombuffer((folder / ROWS).read_bytes(), np.float32).reshape(-1, len(names))
    margins = xgboost.Booster({"nthread": 1}, model_file=content).inplace_predict(rows, predict_type="margin")
    if not np.isfinite(margins).all():
        raise BoosterFileError("model_rejected", "the model gives a margin that is not finite")
    if len(content) > MOST_BYTES:
        raise BoosterFileError("too_large", f"as UBJ the model has over {MOST_BYTES:,} bytes")
    (folder / RESAVED).write_bytes(content)
    (folder / MARGINS).write_bytes(margins.astype(np.float32).tobytes())


def main(folder: Path) -> int:
    """The exit status; 1 when a refusal was written."""
    refused: tuple[Code, str]
    confine()
    try:
        resave(folder)
    except BoosterFileError as error:
        refused = error.code, str(error)
    except MemoryError:
        refused = "over_limit", "the file needs more memory than a model does"
    else:
        return 0
    (folder / REFUSAL).write_text(json.dumps({"code": refused[0], "words": refused[1]}))
    return 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
