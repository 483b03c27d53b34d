"""The versions in use: those that MLflow's aliases name, proven beside the old ones, swapped in by one assignment.

While MLflow does not answer what is loaded stays; at start serving's own copies take its place.
"""

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from data_contracts.model_versions import CANARY, CHAMPION, PREVIOUS, SHADOW
from data_contracts.settings import Settings
from serving.garbage import set_apart
from serving.in_use import Canary, InUse
from serving.loaded_model import LoadedModel, loaded
from serving.model_copies import DamagedCopyError, ModelCopies

if TYPE_CHECKING:
    from data_contracts.model_versions import RegisteredVersion
    from data_contracts.registry import Routing

LOGGER = logging.getLogger(__name__)
LONGEST_PAUSE_SECONDS = 60.0
NOT_ASKED = "not asked yet"


@dataclass(frozen=True)
class Refused:
    """A version that may not take over, and from when on (time.monotonic) it may be tried again."""

    version: str
    reason: str
    attempts: int
    retry_at: float


class ModelWatch:
    """Keeps `in_use` at the versions that the aliases name; `problem` says why there is no champion, `registry_problem`
    why MLflow could not be asked, `refused` which version would be champion if it were sound."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._copies = ModelCopies(settings.home / "serving" / "models")
        self._refusals: dict[str, Refused] = {}
        self._wanted: str | None = None
        self._ended: tuple[str, str] | None = None
        self._beside: dict[str, str] = {}
        self._swapping = threading.Lock()
        self.in_use = InUse()
        self.problem = "not looked for yet"
        self.registry_problem = NOT_ASKED

    @property
    def current(self) -> LoadedModel | None:
        return self.in_use.champion

    @property
    def lacks_champion(self) -> bool:
        """Is there, or may there be, a champion that is not loaded?"""
        return self.in_use.champion is None and (self._wanted is not None or self.registry_problem == NOT_ASKED)

    @property
    def refused(self) -> Refused | None:
        return None if self._wanted is None else self._refusals.get(self._wanted)

    def check(self) -> None:
        """Asks MLflow once. While it does not answer, what is loaded stays."""
        from data_contracts.registry import RegistryError, Routing, end_canary, routing

        try:
            named, ended = routing(self._settings), self._ended
            if ended is not None and named.aliases.get(CANARY) == ended[0]:
                end_canary(self._settings, ended[1], ended[0])
            elif ended is not None:
                self._forget(ended)
        except RegistryError as error:
            if self.in_use.champion is None:
                self._follow(Routing(self._copies.aliases()), is_registry_known=False)
            self._report_registry(str(error))
            return
        self._follow(named, is_registry_known=True)
        self._report_registry("")

    def end_canary(self, version: str, reason: str) -> None:
        """All traffic to the champion at once, here, if `version` is the canary; the next check tells the registry, and
        by it the other workers. From any thread."""
        with self._swapping:
            canary = self.in_use.canary
            if canary is None or canary.model.version != version:
                return
            self._ended = version, reason
            self.in_use = self.in_use._replace(canary=None)
        LOGGER.error("model version %s is the canary no more: %s", version, reason)

    @property
    def refused_beside(self) -> dict[str, Refused]:
        """The canary and shadows that are not loaded since they cannot be used, by alias."""
        return {alias: self._refusals[version] for alias, version in self._beside.items() if version in self._refusals}

    def _forget(self, ended: tuple[str, str]) -> None:
        """The registry knows that this canary has ended."""
        with self._swapping:
            if self._ended is ended:
                self._ended = None

    def problem_of(self, registered: "RegisteredVersion") -> str:
        """Why a version could not be used; empty for one that loads and scores. It takes nothing over."""
        try:
            loaded(registered, self._kept(registered))
        except Exception as error:  # noqa: BLE001 - loading runs the version's own code; whatever it raises, it is out
            return f"{type(error).__name__}: {error}".splitlines()[0]
        return ""

    def _follow(self, named: "Routing", is_registry_known: bool) -> None:
        """Bring `in_use` to what the aliases name, the champion first."""
        aliases = named.aliases
        self._wanted = aliases.get(CHAMPION)
        if self._wanted is None:
            if is_registry_known:
                self._report_none()
            return
        champion = self._version(self._wanted, is_registry_known) or self.in_use.champion
        if champion is not None and champion is not self.in_use.champion:
            self.problem = ""
            if self.in_use.champion is None:
                set_apart()
            with self._swapping:
                self.in_use = self.in_use._replace(champion=champion, previous=self.in_use.champion)
            LOGGER.info("model version %s answers", champion.version)
        before = aliases.get(PREVIOUS)
        previous = self._version(before, is_registry_known) if before else None
        others = self._others(aliases) if is_registry_known else {}
        self._swap(InUse(champion, previous, None, others), named.canary_share)
        if is_registry_known and champion is not None:
            served = {alias: version for alias, version in aliases.items() if alias in (CHAMPION, PREVIOUS, *others)}
            self._copies.remember(served)

    def _others(self, aliases: Mapping[str, str]) -> dict[str, LoadedModel]:
        """The canary and the shadows, by alias. A canary that cannot be used, at a second try either, ends."""
        ended = None if self._ended is None else self._ended[0]
        self._beside = {
            alias: version
            for alias, version in aliases.items()
            if alias.startswith(SHADOW) or (alias == CANARY and version != ended)
            if version != aliases[CHAMPION]
        }
        found = {alias: self._version(version, is_registry_known=True) for alias, version in self._beside.items()}
        refused = self.refused_beside.get(CANARY)
        if refused is not None and refused.attempts > 1:
            with self._swapping:
                self._ended = refused.version, f"it cannot be used: {refused.reason}"
        return {alias: model for alias, model in found.items() if model is not None}

    def _swap(self, found: InUse, canary_share: float) -> None:
        """Take what is `found` in use; the canary, which it holds as a shadow, unless it has ended meanwhile."""
        shadows = dict(found.shadows)
        canary = shadows.pop(CANARY, None)
        with self._swapping:
            has_ended = canary is None or (self._ended is not None and canary.version == self._ended[0])
            chosen = None if canary is None or has_ended else Canary(canary, canary_share)
            now = found._replace(canary=chosen, shadows=shadows)
            if now != self.in_use:
                self.in_use = now

    def _version(self, version: str, is_registry_known: bool) -> LoadedModel | None:
        """The version loaded and proven, or None where it is refused for now."""
        for held in self.in_use.by_alias.values():
            if held.version == version:
                self._refusals.pop(version, None)
                return held
        refused = self._refusals.get(version)
        if refused is not None and time.monotonic() < refused.retry_at:
            return None
        try:
            found = self._registered(version) if is_registry_known else loaded(*self._copies.checked(version))
        except FileNotFoundError as error:  # a damaged copy was put aside: that it was damaged is the reason still
            self._refuse(version, str(error) if refused is None else refused.reason)
            return None
        except DamagedCopyError as error:
            self._refuse(version, str(error))
            return None
        except Exception as error:  # noqa: BLE001 - loading runs the version's own code; whatever it raises, it is out
            self._refuse(version, f"{type(error).__name__}: {error}".splitlines()[0])
            return None
        self._refusals.pop(version, None)
        return found

    def _registered(self, version: str) -> LoadedModel:
        from data_contracts import registry

        registered = registry.version(self._settings, version)
        return loaded(registered, self._kept(registered))

    def _kept(self, registered: "RegisteredVersion") -> Path:
        """The folder of serving's own copy of its model."""
        from mlflow.artifacts import download_artifacts

        def download(folder: Path) -> Path:
            return Path(download_artifacts(artifact_uri=registered.uri, dst_path=str(folder)))

        return self._copies.keep(registered, download)

    def _refuse(self, version: str, reason: str) -> None:
        tried = self._refusals[version].attempts if version in self._refusals else 0
        pause = min(self._settings.serving.champion_poll_seconds * 2 ** (tried + 1), LONGEST_PAUSE_SECONDS)
        self._refusals[version] = Refused(version, reason, tried + 1, time.monotonic() + pause)
        if self.in_use.champion is None and version == self._wanted:
            self.problem = f"version {version} cannot be used: {reason}"
        LOGGER.error("model version %s does not take over: %s", version, reason)

    def _report_none(self) -> None:
        problem = f"no version of {self._settings.model_name} has been promoted"
        if problem != self.problem:
            LOGGER.warning("%s; the prior answers", problem)
        self.problem = problem
        with self._swapping:
            self.in_use = InUse()

    def _report_registry(self, problem: str) -> None:
        if problem and problem != self.registry_problem:
            LOGGER.warning("%s; serving keeps what it has", problem)
        if problem and self._wanted is None:
            self.problem = problem
        self.registry_problem = problem
