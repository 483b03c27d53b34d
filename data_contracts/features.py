"""What a feature set is: features, and what they are made of.

A `Count`, and a `Sum`, are the only things that see the past. Every model input is a plain numeric function whose name
is the feature and whose parameters name its inputs: request fields, numbers, counts, sums, earlier features. Times are
epoch seconds.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from data_contracts.counts import MILLION as MILLION
from data_contracts.counts import Count as Count
from data_contracts.counts import Event as Event
from data_contracts.counts import Sum as Sum
from data_contracts.keys import key_name
from data_contracts.labels import DAY as DAY
from data_contracts.labels import HOUR as HOUR

REQUEST_FIELDS = ("position", "timestamp")
"""What a request itself gives a feature: the slot (1 is first) and the request's time in epoch seconds."""


def training_set_id(feature_set_hash: str, as_of: datetime) -> str:
    """The name of the training set that these definitions give of what was known before `as_of`."""
    return f"{feature_set_hash[:16]}-{as_of.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def holdout_id(training_set: str, champion_hash: str | None) -> str:
    """The name of what the challenger of a training set is judged on, beside a champion of these definitions."""
    own = training_set.partition("-")[0]
    other = (champion_hash or "")[:16]
    return f"{training_set}-{other}" if other and other != own else training_set


@dataclass(frozen=True)
class Feature:
    """One model input: a function of numbers, with its parameters resolved to inputs or earlier features."""

    name: str
    about: str
    function: Callable[..., float]
    parameters: tuple[str, ...]


@dataclass(frozen=True)
class FeatureSet:
    """The features of a model, from one file; `hash` is the SHA-256 of the file's text. `functions` are all of the file
    in order: the features, and steps on the way to them that the trees do not see. `numbers` are keys whose values are
    inputs themselves. The trees start from the feature `base`, log-odds of a click, if there is one. More of a `rising`
    feature may never lower the score, more of a `falling` one may never raise it."""

    name: str
    hash: str
    path: Path = field(compare=False)
    counts: tuple[Count, ...]
    functions: tuple[Feature, ...]
    numbers: tuple[str, ...] = ()
    steps: frozenset[str] = frozenset()
    base: str | None = None
    rising: frozenset[str] = frozenset()
    falling: frozenset[str] = frozenset()
    sums: tuple[Sum, ...] = ()

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """What the trees see, in order."""
        return tuple(each for each in self.functions if each.name not in self.steps)

    @cached_property
    def base_place(self) -> int | None:
        """The place of `base` among the features."""
        return None if self.base is None else self.feature_names.index(self.base)

    @cached_property
    def directions(self) -> tuple[int, ...]:
        """Of each feature, in order: 1 when more of it may never lower the score, -1 when it may never raise it, 0 when
        either may be."""
        return tuple((name in self.rising) - (name in self.falling) for name in self.feature_names)

    @cached_property
    def input_names(self) -> tuple[str, ...]:
        """What a row gives: request fields, then numbers (NaN when absent), then counts and sums (0 when absent)."""
        return (*REQUEST_FIELDS, *map(key_name, self.numbers), *self.looked_up)

    @cached_property
    def looked_up(self) -> dict[str, str]:
        """Of each count and sum, in order, the name that snapshots and holdouts hold it by: counts are everybody's, a
        sum is of these definitions alone."""
        sums = {each.name: f"{each.name}_{self.hash[:16]}" for each in self.sums}
        return {count.name: count.name for count in self.counts} | sums

    @cached_property
    def summed(self) -> "FeatureSet":
        """The features that are summed, with the functions and inputs that they need."""
        summed = {each.feature for each in self.sums}
        needed = set(summed)
        for each in reversed(self.functions):
            if each.name in needed:
                needed |= {*each.parameters}
        functions = tuple(each for each in self.functions if each.name in needed)
        return replace(
            self,
            counts=tuple(count for count in self.counts if count.name in needed),
            numbers=tuple(key for key in self.numbers if key_name(key) in needed),
            functions=functions,
            steps=frozenset(each.name for each in functions) - summed,
            base=None,
            rising=frozenset(),
            falling=frozenset(),
            sums=(),
        )

    @cached_property
    def absent(self) -> dict[str, float]:
        """What an input is that a row may leave out."""
        numbers = dict.fromkeys(map(key_name, self.numbers), math.nan)
        return numbers | dict.fromkeys(self.looked_up, 0.0)

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        return tuple(feature.name for feature in self.features)

    @cached_property
    def key_tuples(self) -> tuple[tuple[str, ...], ...]:
        """The entities that are counted, each once, in order of appearance."""
        return tuple(dict.fromkeys(count.keys for count in self.counts))

    def input_row(self, inputs: Mapping[str, float]) -> list[float]:
        """The inputs of one row, in order; KeyError when a request field is missing."""
        fields = [float(inputs[name]) for name in REQUEST_FIELDS]
        return fields + [float(inputs.get(name, default)) for name, default in self.absent.items()]

    def row(self, inputs: Mapping[str, float]) -> list[float]:
        """The features of one row, in order; KeyError when a request field is missing."""
        values = dict(zip(self.input_names, self.input_row(inputs), strict=True))
        for each in self.functions:
            values[each.name] = float(each.function(*[values[parameter] for parameter in each.parameters]))
        return [values[name] for name in self.feature_names]
