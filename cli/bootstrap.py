"""`make install`: from a bare Python 3.11 to the whole environment, every byte of it checked against a committed hash.

Standard library only, run by the system's Python: `python3.11 -m cli.bootstrap`.
"""

# An older Python gets far enough to be told that it is.
from __future__ import annotations

import hashlib
import platform
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from pathlib import Path

from cli.errors import CommandError
from cli.jars import CHECKSUMS, ROOT, install_jars, verified_jars
from cli.preflight import require_disk, require_java, require_python, require_venv

ENVIRONMENT = ROOT / ".venv"
LOCK = ROOT / "requirements.lock"
# Says what was installed; while an installation is at work it says so, and one that was cut short is begun anew.
STAMP = ENVIRONMENT / "clicklake.installed"
AT_WORK = "installation at work"


def main() -> int:
    """Installs unless all is there; 0, or 2 after one line that says what the machine lacks."""
    try:
        require_python()
        if is_installed():
            return 0
        _require_machine()
        install()
    except CommandError as error:
        print(f"clicklake: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nclicklake: interrupted; the next `make install` begins anew", file=sys.stderr)
        return 130
    return 0


def is_installed() -> bool:
    """Whether the environment and the jars are those of the committed files."""
    try:
        return STAMP.exists() and STAMP.read_text() == wanted() and len(verified_jars()) > 0
    except CommandError:
        return False


def wanted() -> str:
    """A digest of all that decides what is installed."""
    digest = hashlib.sha256(platform.python_version().encode())
    for path in (LOCK, CHECKSUMS, ROOT / "setup.cfg"):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def install() -> None:
    """Makes the environment; what a former lock installed is brought to this one's, what was cut short is removed."""
    cut_short = STAMP.exists() and STAMP.read_text() == AT_WORK
    if cut_short or not _is_of_this_python(ENVIRONMENT):
        _step("making .venv", lambda: venv.create(ENVIRONMENT, clear=True, with_pip=True))
    STAMP.write_text(AT_WORK)
    python, uv = str(ENVIRONMENT / "bin" / "python"), str(ENVIRONMENT / "bin" / "uv")
    count = sum("==" in line for line in LOCK.read_text().splitlines() if not line.startswith((" ", "#")))
    _step("installing uv", lambda: _install_uv(python))
    _step(
        f"installing {count} packages from requirements.lock (some 2 GB: a minute, and the download)",
        lambda: _run([uv, "pip", "sync", "--python", python, "--require-hashes", "--compile-bytecode", str(LOCK)]),
    )
    editable = [uv, "pip", "install", "--python", python, "--offline", "--no-build-isolation", "--no-deps", "-e", "."]
    _step("installing clicklake itself", lambda: _run(editable))
    site_packages = next((ENVIRONMENT / "lib").glob("python3.*")) / "site-packages"
    _step("fetching the Delta jars", lambda: install_jars(site_packages / "pyspark"))
    STAMP.write_text(wanted())


def locked(package: str, lock: str) -> str:
    """The lines of one package in the text of a lock file: its version and its hashes."""
    lines = lock.splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith(f"{package}=="))
    last = next(number for number in range(first, len(lines)) if not lines[number].endswith("\\"))
    return "\n".join(lines[first : last + 1]) + "\n"


def _is_of_this_python(environment: Path) -> bool:
    """Whether it is a whole environment of the very version that runs."""
    written = environment / "pyvenv.cfg"
    usable = written.exists() and (environment / "bin" / "pip").exists()
    return usable and f" = {platform.python_version()}\n" in written.read_text()


def _require_machine() -> None:
    from data_contracts.settings import ConfigurationError, load

    try:
        settings = load()
    except ConfigurationError as error:
        raise CommandError(str(error)) from None
    require_venv()
    require_java()
    for folder in (ROOT, settings.home):
        require_disk(folder, settings.services.least_free_disk_gib)


def _install_uv(python: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        requirement = Path(folder) / "uv.txt"
        requirement.write_text(locked("uv", LOCK.read_text()))
        _run([python, "-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps", "-r", str(requirement)])


def _run(command: list[str]) -> None:
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        said = (ended.stderr or ended.stdout).strip()
        raise CommandError(f"`{' '.join(command)}` failed:\n{said[-2000:]}")


def _step(name: str, action: Callable[[], object]) -> None:
    print(f"{name} ... ", end="", flush=True)
    began = time.monotonic()
    action()
    print(f"{time.monotonic() - began:.1f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
