"""What the machine must offer before anything is installed or started: Python, Java, disk. Standard library only."""

# An older Python gets far enough to be told that it is.
from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from cli.errors import CommandError

PYTHON = (3, 11)
LEAST_JAVA = 17
# Else every Java keeps a file of counters in /tmp/hsperfdata_<user>, which a killed one leaves.
NO_COUNTERS = "-XX:-UsePerfData"
JAVA_ADVICE = "install one (Debian: apt-get install openjdk-17-jre-headless) or point JAVA_HOME at it"


def require_python(version: tuple[int, ...] = sys.version_info[:2]) -> None:
    """Raises CommandError unless this interpreter is the one the lock was made for."""
    if version[:2] != PYTHON:
        found = ".".join(map(str, version[:2]))
        raise CommandError(
            f"Python 3.11 is needed, this is {found} ({sys.executable}): install python3.11 and its venv module "
            "(Debian: apt-get install python3.11-venv), or name one with `make install PYTHON=/path/to/python3.11`"
        )


def require_venv() -> None:
    """Raises CommandError on a Debian whose Python came without the parts that make an environment."""
    if importlib.util.find_spec("ensurepip") is None:
        raise CommandError("this Python cannot make environments: apt-get install python3.11-venv")


def require_java(environ: Mapping[str, str] = os.environ) -> None:
    """Raises CommandError unless the Java that Spark would pick (JAVA_HOME, then PATH) is 17 or newer."""
    home = environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java", path=environ.get("PATH", ""))
    if java is None:
        raise CommandError(f"Java 17 or newer is needed, and no java is on PATH: {JAVA_ADVICE}")
    try:
        spoken = subprocess.run([java, NO_COUNTERS, "-version"], capture_output=True, text=True, check=False).stderr
    except OSError as error:
        raise CommandError(
            f"Java 17 or newer is needed, and {java} does not run ({error.strerror}): {JAVA_ADVICE}"
        ) from None
    version = java_version(spoken)
    if version < LEAST_JAVA:
        raise CommandError(f"Java 17 or newer is needed, {java} is {version or 'of an unknown version'}: {JAVA_ADVICE}")


def java_version(spoken: str) -> int:
    """The major version in what `java -version` says ("1.8.0_392" is 8); 0 when it says none."""
    match = re.search(r'version "(?:1\.)?(\d+)', spoken)
    return int(match.group(1)) if match else 0


def require_disk(folder: Path, least_gib: int) -> None:
    """Raises CommandError when the disk that holds `folder` (which need not exist yet) has less free."""
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free_gib = shutil.disk_usage(existing).free / 2**30
    if free_gib < least_gib:
        raise CommandError(
            f"{existing} has {free_gib:.1f} GiB free, {least_gib} are needed: free some, "
            "set CLICKLAKE_HOME to a larger disk, or lower services.least_free_disk_gib in conf"
        )


def require_plain_path(path: Path) -> None:
    """Raises CommandError for a path that the configuration files of the services cannot hold."""
    unfit = sorted(set(str(path)) & set("\"'%;#,?\\\n"))
    if unfit:
        raise CommandError(f"{path} holds {' '.join(map(repr, unfit))}, which the services cannot have in a path")
