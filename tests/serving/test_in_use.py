"""Who is asked for whom."""

from typing import Any, cast

import pytest

from serving.in_use import Canary, InUse
from serving.loaded_model import LoadedModel

USERS = [f"user-{number}" for number in range(20_000)]


class Version:
    """A loaded model in name only: who is asked does not hang on what it says."""

    prior = None

    def __init__(self, version: str) -> None:
        self.version = version


def named(version: str) -> LoadedModel:
    return cast(LoadedModel, Version(version))


ONE, TWO, THREE = named("1"), named("2"), named("3")


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5])
def test_a_canary_takes_its_share_of_users_and_always_the_same_ones(share: float) -> None:
    taken = [Canary(TWO, share).takes(user) for user in USERS]
    assert abs(sum(taken) / len(USERS) - share) < 4 * (share * (1 - share) / len(USERS)) ** 0.5
    assert taken == [Canary(named("2"), share).takes(user) for user in USERS]
    other = [Canary(THREE, share).takes(user) for user in USERS]
    both = sum(here and there for here, there in zip(taken, other, strict=True)) / len(USERS)
    assert abs(both - share**2) < 0.02


def test_a_larger_share_keeps_the_users_of_the_smaller() -> None:
    assert all(Canary(TWO, 0.2).takes(user) for user in USERS if Canary(TWO, 0.1).takes(user))


def test_a_canary_is_asked_first_where_it_may_be_and_the_ladder_goes_on_below() -> None:
    user = next(user for user in USERS if Canary(THREE, 0.5).takes(user))
    in_use = InUse(TWO, ONE, Canary(THREE, 0.5))
    ladder = [("model", TWO), ("previous_model", ONE)]
    assert in_use.rungs(user, True) == [("canary", THREE), *ladder]
    other = next(user for user in USERS if not Canary(THREE, 0.5).takes(user))
    assert in_use.rungs(other, True) == ladder
    assert in_use.rungs(user, False) == [("stale_counts", TWO), ladder[1]]
    assert in_use._replace(champion=None).rungs(user, True) == [("previous_model", ONE)]


@pytest.mark.parametrize(
    ("in_use", "source", "answered", "others"),
    [
        (InUse(TWO, ONE), "model", TWO, []),
        (InUse(TWO, ONE, None, {"shadow": THREE, "shadow_2": named("4")}), "model", TWO, ["3", "4"]),
        (InUse(TWO, ONE, Canary(THREE, 0.1)), "model", TWO, []),
        (InUse(TWO, ONE, Canary(THREE, 0.1)), "canary", THREE, ["2"]),
        (InUse(TWO, ONE, Canary(THREE, 0.1), {"shadow": THREE, "shadow_2": ONE}), "canary", THREE, ["1", "2"]),
        (InUse(TWO, ONE, None, {"shadow": ONE, "shadow_2": ONE}), "model", TWO, ["1"]),
    ],
)
def test_who_else_scores_what_was_answered(in_use: InUse, source: str, answered: Any, others: list[str]) -> None:
    assert sorted(model.version for model in in_use.others(source, answered)) == others
