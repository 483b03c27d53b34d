"""The champion in use: loaded from the MLflow registry, proven beside the old one, swapped in by one assignment.

MLflow and XGBoost are imported here and only by the thread that watches: it takes seconds, and serving must answer
before.
"""

import logging
import math
import shutil
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data_contracts.settings import Settings

if TYPE_CHECKING:
    from data_contracts.model_versions import RegisteredVersion
    from serving.kernel_model import Inputs, RowModel

LOGGER = logging.getLogger(__name__)
LONGEST_PAUSE_SECONDS = 60.0

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApplication = Callable[[Message, Receive, Send], Awaitable[None]]


class UnusableModelError(Exception):
    """A registered version that loads but cannot score."""


class Champion:
    """One loaded version. `invocations` is MLflow's own scoring application on the very same model."""

    def __init__(self, registered: "RegisteredVersion", model: "RowModel", invocations: AsgiApplication) -> None:
        self.registered, self.invocations = registered, invocations
        self.version, self.feature_set_hash = registered.version, model.feature_set.hash
        self.input_names = model.feature_set.input_names
        self.count_names = tuple(count.name for count in model.feature_set.counts)
        self.numbers = model.feature_set.numbers
        self.since = datetime.now(UTC)
        self.failures, self.last_failure = 0, ""
        self._model = model

    def probabilities(self, inputs: "Inputs") -> list[float] | None:
        """Probability of each row of `inputs` (rows, input_names), or None (and a failure counted) when any is none."""
        try:
            found = [float(probability) for probability in self._model.scored(inputs)]
        except Exception as error:  # noqa: BLE001 - a model is foreign code; whatever it raises, the prior answers
            self._count_failure(f"{type(error).__name__} while scoring")
            return None
        if len(found) != len(inputs):
            self._count_failure(f"{len(found)} probabilities for {len(inputs)} rows")
            return None
        if not all(0 <= probability <= 1 for probability in found):
            self._count_failure("a score that is no probability")
            return None
        return found

    def _count_failure(self, what: str) -> None:
        if what != self.last_failure:
            LOGGER.error("model version %s failed, the prior answers: %s", self.version, what)
        self.failures, self.last_failure = self.failures + 1, what

    def prove(self) -> None:
        """Scores an ad never seen and one seen often, which also warms the model; raises UnusableModelError."""
        numbers = [math.nan] * len(self.numbers)
        rows = [[1.0, self.since.timestamp(), *numbers, *([count] * len(self.count_names))] for count in (0.0, 1000.0)]
        if self.probabilities(np.array(rows)) is None:
            raise UnusableModelError(self.last_failure)


@dataclass(frozen=True)
class Refused:
    """A version that may not take over, and from when on (time.monotonic) it may be tried again."""

    version: str
    reason: str
    attempts: int
    retry_at: float


class ChampionWatch:
    """Keeps `current` at the version the alias `champion` names; `problem` says why there is none, `registry_problem`
    why MLflow could not be asked, `refused` which version it would be if that version were sound."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.current: Champion | None = None
        self.refused: Refused | None = None
        self.problem = "not looked for yet"
        self.registry_problem = "not asked yet"

    def check(self) -> None:
        """Asks MLflow once. While it does not answer, what is loaded stays."""
        from data_contracts.registry import RegistryError, champion_version

        try:
            version = champion_version(self._settings)
        except RegistryError as error:
            self._report_registry(str(error))
            return
        self._report_registry("")
        if version is None:
            self._report_none()
        elif self.current is not None and self.current.version == version:
            self.refused = None
        elif self._may_try(version):
            self._take_over(version)

    def _may_try(self, version: str) -> bool:
        refused = self.refused
        return refused is None or refused.version != version or time.monotonic() >= refused.retry_at

    def _take_over(self, version: str) -> None:
        from data_contracts.registry import champion

        try:
            registered = champion(self._settings)
            if registered is None or registered.version != version:
                return  # the alias moved on; the next check sees where to
            loaded = _loaded(registered, self._settings.home / "serving" / "loading")
            loaded.prove()
        except Exception as error:  # noqa: BLE001 - loading runs the version's own code; whatever it raises, it is out
            self._refuse(version, f"{type(error).__name__}: {error}".splitlines()[0])
            return
        self.refused, self.problem = None, ""
        self.current = loaded
        LOGGER.info("model version %s answers", version)

    def _refuse(self, version: str, reason: str) -> None:
        tried = self.refused.attempts if self.refused is not None and self.refused.version == version else 0
        pause = min(self._settings.serving.champion_poll_seconds * 2 ** (tried + 1), LONGEST_PAUSE_SECONDS)
        self.refused = Refused(version, reason, tried + 1, time.monotonic() + pause)
        if self.current is None:
            self.problem = f"version {version} cannot be used: {reason}"
        LOGGER.error("model version %s does not take over: %s", version, reason)

    def _report_none(self) -> None:
        problem = f"no version of {self._settings.model_name} has been promoted"
        if problem != self.problem:
            LOGGER.warning("%s; the prior answers", problem)
        self.refused, self.problem = None, problem
        self.current = None

    def _report_registry(self, problem: str) -> None:
        if problem and problem != self.registry_problem:
            LOGGER.warning("%s; serving keeps what it has", problem)
        if self.current is None and problem:
            self.problem = problem
        self.registry_problem = problem


def _loaded(registered: "RegisteredVersion", folder: Path) -> Champion:
    """`registered`, whole in memory; its files are in `folder` for the loading only."""
    import mlflow.pyfunc
    from mlflow.pyfunc import scoring_server

    from serving.kernel_model import with_kernel

    shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed while it loaded
    folder.mkdir(parents=True)
    pyfunc = mlflow.pyfunc.load_model(registered.uri, dst_path=str(folder))
    shutil.rmtree(folder)
    model, problem = with_kernel(pyfunc.unwrap_python_model())
    if problem:
        LOGGER.warning("model version %s is scored by itself, which is slower: %s", registered.version, problem)
    return Champion(registered, model, scoring_server.init(pyfunc))
