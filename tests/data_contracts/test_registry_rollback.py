"""Going back to the champion before, and the list of versions by which a person sees it."""

import re
from collections.abc import Callable

import pytest
from mlflow import MlflowClient

from data_contracts import registry
from data_contracts.registry import ApprovalNeededError, NotPromotableError, RegistryError
from data_contracts.settings import Settings
from tests.data_contracts.conftest import aliases, verdict


def test_a_rollback_gives_the_traffic_back_and_says_why(
    settings: Settings, store: MlflowClient, two_champions: tuple[str, str]
) -> None:
    assert registry.roll_back(settings, "it is 12 % off on tablets") == ("1", "2")
    assert aliases(store) == {"champion": "1", "previous": "2"}
    when, _, reason = registry.version(settings, "2").tags["rolled_back"].partition("Z: ")
    assert (len(when), reason) == (len("2026-01-01T00:00:00.000000"), "it is 12 % off on tablets")


def test_what_was_rolled_back_takes_traffic_again_only_by_a_persons_name(
    settings: Settings, store: MlflowClient, two_champions: tuple[str, str]
) -> None:
    registry.roll_back(settings, "off")
    with pytest.raises(ApprovalNeededError, match=r"2 of ad_ctr is not promoted: it was rolled back at 20.*: off"):
        registry.promote(settings, "2")
    assert aliases(store) == {"champion": "1", "previous": "2"}
    registry.promote(settings, "2", "Ada")
    assert aliases(store) == {"champion": "2", "previous": "1"}
    assert "rolled_back" not in registry.version(settings, "2").tags


def test_a_name_does_not_bring_back_what_is_refused(
    settings: Settings, store: MlflowClient, two_champions: tuple[str, str]
) -> None:
    registry.roll_back(settings, "off")
    registry.record_verdict(settings, "2", verdict("2", "1", "refuse"))
    with pytest.raises(NotPromotableError, match="refuse: no worse") as raised:
        registry.promote(settings, "2", "Ada")
    assert not isinstance(raised.value, ApprovalNeededError)


def test_a_version_stays_marked_until_it_has_the_traffic_again(
    settings: Settings, store: MlflowClient, two_champions: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.roll_back(settings, "off")

    def fails(*_: object) -> None:
        raise OSError("the connection was reset")

    with monkeypatch.context() as patch, pytest.raises(RegistryError, match="reset"):
        patch.setattr(MlflowClient, "set_registered_model_alias", fails)
        registry.promote(settings, "2", "Ada")
    with pytest.raises(ApprovalNeededError):
        registry.promote(settings, "2")


def test_a_version_whose_run_is_gone_or_whose_verdict_is_damaged_does_not_hide_the_others(
    settings: Settings, store: MlflowClient, two_champions: tuple[str, str]
) -> None:
    store.log_text(store.get_model_version("ad_ctr", "1").run_id, "{", "verdict.json")
    store.create_model_version("ad_ctr", "somewhere", None)
    assert [(each.version, dict(each.metrics)) for each in registry.versions(settings, 9)] == [
        ("3", {}), ("2", {"holdout_log_loss": 0.03}), ("1", {"holdout_log_loss": 0.03}),
    ]  # fmt: skip


def test_a_second_rollback_does_not_bring_back_what_was_rolled_back_but_a_name_does(
    settings: Settings, store: MlflowClient, two_champions: tuple[str, str]
) -> None:
    registry.roll_back(settings, "off")
    with pytest.raises(RegistryError, match=r"2 of ad_ctr, the one before, was itself rolled back at .*: off; who"):
        registry.roll_back(settings, "still off")
    assert aliases(store) == {"champion": "1", "previous": "2"}
    registry.promote(settings, "2", "Ada")
    assert aliases(store) == {"champion": "2", "previous": "1"}
    assert ["rolled_back" in registry.version(settings, each).tags for each in two_champions] == [False, False]


def test_without_a_previous_champion_there_is_nothing_to_go_back_to(
    settings: Settings, store: MlflowClient, add_version: Callable[..., str]
) -> None:
    version = add_version()
    registry.record_verdict(settings, version, verdict(version, None))
    for _ in range(2):
        with pytest.raises(RegistryError, match="ad_ctr has no champion before this one to go back to"):
            registry.roll_back(settings, "off")
        registry.promote(settings, version)
    assert aliases(store) == {"champion": "1"}


def test_versions_come_newest_first_with_their_aliases(
    settings: Settings, store: MlflowClient, two_champions: tuple[str, str], add_version: Callable[..., str]
) -> None:
    add_version()
    found = [(each.version, each.aliases) for each in registry.versions(settings, 2)]
    assert found == [("3", ()), ("2", ("champion",))]
    assert registry.version(settings, "1").aliases == ("previous",)
    with pytest.raises(RegistryError, match="ad_ctr has no version 9"):
        registry.version(settings, "9")


def test_every_alias_that_a_version_was_given_is_written_down_with_when_and_why(
    settings: Settings, store: MlflowClient, two_champions: tuple[str, str]
) -> None:
    registry.set_challenger(settings, "2")
    registry.set_challenger(settings, "2")  # it has it already: no move
    registry.roll_back(settings, "off on tablets")
    registry.promote(settings, "2", "Ada")
    moves = {each.version: list(each.alias_moves.values()) for each in registry.versions(settings)}
    assert moves == {
        "1": [
            "champion: by its verdict",
            "previous: version 2 was promoted",
            "champion: version 2 was rolled back: off on tablets",
            "previous: version 2 was promoted",
        ],
        "2": [
            "champion: by its verdict",
            "challenger",
            "previous: rolled back: off on tablets",
            "champion: approved by Ada",
        ],
    }
    instants = [when for each in registry.versions(settings) for when in each.alias_moves]
    assert all(re.fullmatch(r"20\d{6}T\d{6}\.\d{6}Z", when) for when in instants)
