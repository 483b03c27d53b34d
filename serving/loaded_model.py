"""One version of the registered model, loaded and proven: what it gives of inputs, and what fails of it.

MLflow and XGBoost are imported only to load one: it takes seconds, and serving must answer before.
"""

import logging
import math
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from data_contracts.model_versions import RegisteredVersion
    from data_contracts.prior import Prior
    from serving.kernel_model import Inputs, RowModel

LOGGER = logging.getLogger(__name__)
LOADING = threading.Lock()
"""MLflow puts things of its own among the modules and the globals while it loads: two at a time would leave them."""

Places = NDArray[np.intp]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApplication = Callable[[Message, Receive, Send], Awaitable[None]]


class Split(NamedTuple):
    """Where a model's counts stand among all of them: those that are alike for all ads of a request, with what they and
    the timestamp are called, and the others, with what those and the model's fields and numbers are called."""

    alike: Places
    alike_names: tuple[str, ...]
    own: Places
    own_names: tuple[str, ...]


class UnusableModelError(Exception):
    """A registered version that loads but cannot score."""


class LoadedModel:
    """`invocations` is MLflow's own scoring application on the very same model; `prior` is None in a bundle without."""

    def __init__(
        self,
        registered: "RegisteredVersion",
        model: "RowModel",
        invocations: AsgiApplication,
        prior: "Prior | None" = None,
    ) -> None:
        self.registered, self.invocations, self.prior = registered, invocations, prior
        self.version, self.feature_set_hash = registered.version, model.feature_set.hash
        self.input_names = model.feature_set.input_names
        self.count_names = tuple(model.feature_set.looked_up.values())
        self.numbers = model.feature_set.numbers
        self.since = datetime.now(UTC)
        self.failures, self.last_failure = 0, ""
        self._model = model
        self._placed: tuple[tuple[str, ...], Places | None] = (), None
        self._split: tuple[frozenset[str], Split] | None = None

    def places(self, names: tuple[str, ...]) -> Places | None:
        """Where its counts and sums stand among those of these names; None where one is not there."""
        known, places = self._placed
        if names is not known:
            lacks = set(self.count_names) - set(names)
            places = None if lacks else np.array([names.index(name) for name in self.count_names], np.intp)
            self._placed = names, places
        return places

    def split(self, alike: frozenset[str]) -> Split:
        """Its counts, and the names of its inputs, by whether they are alike for all ads of a request."""
        if self._split is None or self._split[0] is not alike:
            first = len(self.input_names) - len(self.count_names)
            position, timestamp, *numbers = self.input_names[:first]
            is_alike = np.array([name in alike for name in self.count_names], bool)
            names, shared, own = np.array(self.input_names[first:]), *map(np.flatnonzero, (is_alike, ~is_alike))
            alike_names, own_names = (timestamp, *names[shared].tolist()), (position, *numbers, *names[own].tolist())
            self._split = alike, Split(shared, alike_names, own, own_names)
        return self._split[1]

    def probabilities(self, inputs: "Inputs") -> list[float] | None:
        """Probability of each row of `inputs` (rows, input_names), or None (and a failure counted) when any is none."""
        found = self.tried(inputs)
        if isinstance(found, str):
            self.count_failure(found)
            return None
        return found

    def tried(self, inputs: "Inputs") -> list[float] | str:
        """Probability of each row, or what is wrong when any is none."""
        try:
            found = [float(probability) for probability in self._model.scored(inputs)]
        except Exception as error:  # noqa: BLE001 - a model is foreign code; whatever it raises, another rung answers
            return f"{type(error).__name__} while scoring"
        if len(found) != len(inputs):
            return f"{len(found)} probabilities for {len(inputs)} rows"
        if not all(0 <= probability <= 1 for probability in found):
            return "a score that is no probability"
        return found

    def count_failure(self, what: str) -> None:
        """A request that it should have scored and could not."""
        if what != self.last_failure:
            LOGGER.error("model version %s failed: %s", self.version, what)
        self.failures, self.last_failure = self.failures + 1, what

    def prove(self) -> None:
        """Scores an ad never seen and one seen often, which also warms the model; raises UnusableModelError."""
        numbers = [math.nan] * len(self.numbers)
        rows = [[1.0, self.since.timestamp(), *numbers, *([count] * len(self.count_names))] for count in (0.0, 1000.0)]
        if self.probabilities(np.array(rows)) is None:
            raise UnusableModelError(self.last_failure)


def loaded(registered: "RegisteredVersion", folder: Path) -> LoadedModel:
    """The model that is in `folder`, proven. Whatever its own code raises comes through."""
    import mlflow.pyfunc
    from mlflow.pyfunc import scoring_server

    from serving.kernel_model import with_kernel

    with LOADING:
        pyfunc = mlflow.pyfunc.load_model(str(folder))
    own = pyfunc.unwrap_python_model()
    model, problem = with_kernel(own)
    if problem:
        LOGGER.warning("model version %s is scored by itself, which is slower: %s", registered.version, problem)
    found = LoadedModel(registered, model, scoring_server.init(pyfunc), getattr(own, "prior", None))
    found.prove()
    return found
