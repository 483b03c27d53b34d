"""The Delta jars: fetched once by coordinates through Spark's own resolver, used only with their committed sha256."""

# An older Python gets far enough to be told that it is.
from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from cli.errors import CommandError

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".jars"
CHECKSUMS = ROOT / "conf" / "jars.sha256"
COORDINATES = "io.delta:delta-spark_4.1_2.13:4.4.0"
# pyspark ships these, newer, or Delta on plain files never calls them: 29 jars and 74 MB stay out of the class path.
EXCLUDED = (
    "com.fasterxml.jackson*:*",
    "com.google.code.findbugs:*",
    "io.delta:delta-kernel-unitycatalog",
    "io.unitycatalog:*",
    "org.apache.hadoop:*",
    "org.apache.parquet:*",
    "org.locationtech.jts:*",
    "org.roaringbitmap:*",
    "org.slf4j:*",
)


def verified_jars(folder: Path = FOLDER, checksums: Path = CHECKSUMS) -> list[Path]:
    """The jars Spark must load; CommandError names the first that is missing or is not the committed one."""
    jars = []
    for name, expected in _expected(checksums).items():
        jar = folder / name
        if not jar.exists():
            raise CommandError(f"{jar} is missing: run `make install`")
        found = hashlib.sha256(jar.read_bytes()).hexdigest()
        if found != expected:
            raise CommandError(
                f"{jar} has sha256 {found}, {checksums.name} says {expected}: it is not the jar this version was "
                "tested with; `make install` fetches it again"
            )
        jars.append(jar)
    return jars


def install_jars(spark_home: Path, folder: Path = FOLDER, checksums: Path = CHECKSUMS) -> None:
    """Fills `folder` with the verified jars; what was resolved is checked before it is put in place."""
    try:
        verified_jars(folder, checksums)
        return
    except CommandError:
        shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".jars-") as scratch:
        fetched = Path(scratch) / "fetched"
        fetched.mkdir()
        resolved = _resolved(spark_home, Path(scratch))
        for name in _expected(checksums):
            if name in resolved:
                resolved[name].rename(fetched / name)
        verified_jars(fetched, checksums)
        fetched.rename(folder)


def _expected(checksums: Path) -> dict[str, str]:
    """File name -> sha256, from a file in the format of sha256sum."""
    pairs = (line.split() for line in checksums.read_text().splitlines())
    return {name: checksum for checksum, name in pairs}


def _resolved(spark_home: Path, scratch: Path) -> dict[str, Path]:
    """What Spark's resolver brings for COORDINATES, by file name without the group that it puts in front."""
    script = scratch / "nothing.py"
    script.touch()
    command = [str(spark_home / "bin" / "spark-submit"), "--packages", COORDINATES]
    command += ["--exclude-packages", ",".join(EXCLUDED), "--conf", f"spark.jars.ivy={scratch / 'ivy'}", str(script)]
    environment = {**os.environ, "SPARK_HOME": str(spark_home), "SPARK_LOCAL_IP": "127.0.0.1"}
    submitted = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    jars = scratch / "ivy" / "jars"
    if submitted.returncode != 0 or not jars.is_dir():
        last = submitted.stderr.strip().splitlines()[-1:] or ["no output"]
        raise CommandError(f"Spark could not fetch {COORDINATES} (is a Maven repository reachable?): {last[0]}")
    return {jar.name.split("_", 1)[1]: jar for jar in jars.glob("*.jar")}
