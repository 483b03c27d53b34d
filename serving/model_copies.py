"""Serving's own copies of registered versions, so that it starts without MLflow: each is checked, file by file by its
hash, before it is loaded.

<home>/serving/models/<version>/ holds `model` (as MLflow keeps it), `version.json` and, written before the folder gets
its name, `manifest.json`; `aliases.json` beside the versions says under which alias each was in use last.
"""

import hashlib
import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from data_contracts.disk import replace_whole, sync
from data_contracts.model_versions import RegisteredVersion

LOGGER = logging.getLogger(__name__)
MODEL, VERSION_FILE, MANIFEST, ALIASES = "model", "version.json", "manifest.json", "aliases.json"
KEPT_SECONDS = 3600.0
"""How long a copy stays that no alias names any more: another worker may still be loading it."""


class DamagedCopyError(Exception):
    """A copy that is not what was written; the message says of which version."""


class ModelCopies:
    """The copies in one folder. Several processes may use it at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def aliases(self) -> dict[str, str]:
        """Version by alias, as last remembered; empty where nothing usable is."""
        try:
            found = json.loads((self._folder / ALIASES).read_text())
        except (OSError, ValueError):
            return {}
        return {str(alias): str(version) for alias, version in found.items()} if isinstance(found, dict) else {}

    def remember(self, aliases: Mapping[str, str]) -> None:
        """Keeps which versions are in use, and clears away those that are not."""
        if aliases != self.aliases():
            self._folder.mkdir(parents=True, exist_ok=True)
            replace_whole(self._folder / ALIASES, json.dumps(dict(sorted(aliases.items()))))
        for folder in self._folder.iterdir():
            is_old = folder.is_dir() and time.time() - folder.stat().st_mtime > KEPT_SECONDS
            if is_old and folder.name not in aliases.values():
                shutil.rmtree(folder, ignore_errors=True)

    def checked(self, version: str) -> tuple[RegisteredVersion, Path]:
        """A version and the folder of its model. Raises FileNotFoundError without a copy, DamagedCopyError where it is
        not as it was written; it is put aside then."""
        folder = self._folder / version
        if not folder.exists():
            raise FileNotFoundError(f"there is no copy of version {version}")
        try:
            if json.loads((folder / MANIFEST).read_text()) != _hashes(folder):
                raise ValueError("a file is not as it was written")
            return RegisteredVersion.from_json((folder / VERSION_FILE).read_text()), folder / MODEL
        except (OSError, ValueError, TypeError, KeyError) as error:
            damaged = folder.with_name(f"{version}.damaged.{time.time_ns()}")
            folder.rename(damaged)
            raise DamagedCopyError(f"the copy of version {version} is damaged: {error}") from None

    def keep(self, registered: RegisteredVersion, download: Callable[[Path], Path]) -> Path:
        """The folder of the version's model: the copy that is there if it is of the very same run, else what
        `download(folder)` brings and where it says that it is. Raises what `download` raises."""
        try:
            known, model = self.checked(registered.version)
            if known.run_id == registered.run_id:
                return model
            shutil.rmtree(model.parent)  # of a registry that began anew
        except (FileNotFoundError, DamagedCopyError) as error:
            LOGGER.info("%s; it is fetched", error)
        making = self._folder / f"making.{os.getpid()}.{threading.get_ident()}"
        shutil.rmtree(making, ignore_errors=True)  # of a process that was killed
        (making / "download").mkdir(parents=True)
        download(making / "download").rename(making / MODEL)
        shutil.rmtree(making / "download", ignore_errors=True)
        (making / VERSION_FILE).write_text(registered.as_json())
        (making / MANIFEST).write_text(json.dumps(_hashes(making)))
        for file in making.rglob("*"):
            sync(file)
        own = self._folder / registered.version
        try:
            making.rename(own)
        except OSError:  # another process was sooner
            shutil.rmtree(making)
        sync(self._folder)
        return own / MODEL


def _hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file but the manifest, by its path."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file != folder / MANIFEST and "__pycache__" not in file.parts
    }
