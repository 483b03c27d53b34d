"""Peak memory and seconds of `python -m ml.train`, whole, at several numbers of rows of 40 features.

`python -m bench.training_memory [--rows 250000 1000000] [--with-5m] [--keep-rate 1.0]`. Each size is trained by a child
process of its own on a lake made for it, with a real MLflow store. "Above imports" is the peak of its resident memory
less what it held once everything was imported; pages of the staged features, which the system drops when it needs them,
are counted in both. The last line of the output is one JSON object.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.wide_market import AS_OF, write_feature_set, write_market
from data_contracts.settings import load

CHILD = "--child"


@dataclass(frozen=True)
class Measured:
    """One training: megabytes of resident memory, and seconds."""

    rows: int
    imports_mb: float
    peak_mb: float
    stage_seconds: float
    seconds: float

    @property
    def own_mb(self) -> float:
        return self.peak_mb - self.imports_mb


def measured(rows: int, keep_rate: float) -> Measured:
    """A lake of `rows` rows, trained from in a child process."""
    folder = Path(tempfile.mkdtemp(prefix="clicklake-bench-"))
    try:
        write_feature_set(folder / "wide.py")
        conf = folder / "bench.toml"
        conf.write_text(
            f'[features]\nfeature_set = "{folder}/wide.py"\n[training]\nwarmup_hours = 0\nkeep_rate = {keep_rate}\n'
        )
        environment = {
            "CLICKLAKE_HOME": str(folder / "home"),
            "CLICKLAKE_CONF": str(conf),
            "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/store.db",
        }
        write_market(load(environment), rows)
        command = [sys.executable, "-m", "bench.training_memory", CHILD, str(folder / "artifacts")]
        done = subprocess.run(command, env=os.environ | environment, stdout=subprocess.PIPE, text=True, check=True)
        return Measured(rows, **json.loads(done.stdout.splitlines()[-1]))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def child(artifacts: str) -> None:
    """Train, and print as JSON what that took."""
    import time

    import mlflow
    import optuna  # noqa: F401  # what ml.train imports

    from ml import train

    mlflow.set_tracking_uri(os.environ["MLFLOW_TRACKING_URI"])
    mlflow.create_experiment("ad_ctr", artifact_location=artifacts)
    imports, began = _peak_mb(), time.monotonic()
    train.given_rows(load(), AS_OF)
    staged = time.monotonic() - began
    began = time.monotonic()
    if train.main(["--as-of", AS_OF.isoformat()]):
        raise SystemExit("training failed")
    seconds = time.monotonic() - began
    print(json.dumps({"imports_mb": imports, "peak_mb": _peak_mb(), "stage_seconds": staged, "seconds": seconds}))


def _peak_mb() -> float:
    """Of this program: what getrusage says begins with what the parent held when it forked."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[250_000, 1_000_000])
    parser.add_argument("--with-5m", action="store_true", help="5 million rows as well")
    parser.add_argument("--keep-rate", type=float, default=1.0)
    parser.add_argument(CHILD, metavar="ARTIFACTS", help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.child:
        child(asked.child)
        return
    sizes = [*asked.rows, *([5_000_000] if asked.with_5m else [])]
    found = [measured(rows, asked.keep_rate) for rows in sizes]
    table = Table("rows", "imports, MB", "peak, MB", "above imports, MB", "staging, s", "ml.train whole, s")
    for each in found:
        numbers = (each.imports_mb, each.peak_mb, each.own_mb)
        times = (each.stage_seconds, each.seconds)
        table.add_row(f"{each.rows:,}", *(f"{n:,.0f}" for n in numbers), *(f"{n:,.1f}" for n in times))
    Console().print(table)
    print(json.dumps({"bench": "training_memory", "cores": os.cpu_count(), "measured": [asdict(one) for one in found]}))


if __name__ == "__main__":
    main()
