"""Who else scores: canaries, by their verdict and for a share of users, and shadows."""

from collections.abc import Callable

import pytest
from mlflow import MlflowClient

from data_contracts import registry
from data_contracts.registry import ApprovalNeededError, NotPromotableError, RegistryError, UnknownVersionError
from data_contracts.settings import Settings
from tests.data_contracts.conftest import aliases, verdict


@pytest.fixture
def judged(settings: Settings, two_champions: tuple[str, str], add_version: Callable[..., str]) -> str:
    """Version 3, which its verdict would promote beside champion 2."""
    version = add_version()
    registry.record_verdict(settings, version, verdict(version, "2"))
    return version


def test_a_canary_answers_a_share_on_what_would_promote_it(
    settings: Settings, store: MlflowClient, judged: str, add_version: Callable[..., str]
) -> None:
    registry.start_canary(settings, judged, 0.1)
    told = registry.routing(settings)
    assert told.aliases == {"champion": "2", "previous": "1", "canary": judged}
    assert told.canary_share == 0.1
    assert list(registry.version(settings, judged).alias_moves.values()) == ["canary: 0.1 of users, by its verdict"]
    registry.start_canary(settings, judged, 0.2)
    assert registry.routing(settings).canary_share == 0.2
    moves = list(registry.version(settings, judged).alias_moves.values())
    assert moves == [f"canary: {share} of users, by its verdict" for share in ("0.1", "0.2")]
    with pytest.raises(NotPromotableError, match="has no verdict"):
        registry.start_canary(settings, add_version(), 0.1)


@pytest.mark.parametrize("share", [0.0, -0.1, 0.51, float("nan")])
def test_a_share_that_is_none_is_refused(settings: Settings, judged: str, share: float) -> None:
    with pytest.raises(NotPromotableError, match="share"):
        registry.start_canary(settings, judged, share)


def test_a_canary_needs_another_champion(
    settings: Settings, store: MlflowClient, add_version: Callable[..., str]
) -> None:
    version = add_version()
    registry.record_verdict(settings, version, verdict(version, None))
    with pytest.raises(NotPromotableError, match="has no champion"):
        registry.start_canary(settings, version, 0.1)
    registry.promote(settings, version)
    with pytest.raises(NotPromotableError, match="version 1 of ad_ctr is the champion"):
        registry.start_canary(settings, version, 0.1)


def test_what_ended_as_a_canary_comes_back_only_by_a_persons_name(
    settings: Settings, store: MlflowClient, judged: str
) -> None:
    registry.start_canary(settings, judged, 0.1)
    assert registry.end_canary(settings, "another one", "2") is None
    assert registry.end_canary(settings, "its scores are off", judged) == judged
    assert registry.end_canary(settings, "again") is None
    assert aliases(store) == {"champion": "2", "previous": "1"}
    assert list(registry.version(settings, judged).alias_moves.values())[-1] == (
        "no canary any more: its scores are off"
    )
    for again in (lambda: registry.promote(settings, judged), lambda: registry.start_canary(settings, judged, 0.1)):
        with pytest.raises(ApprovalNeededError, match=r"rolled back at 20.*: its scores are off"):
            again()
    registry.start_canary(settings, judged, 0.1, "Ada")
    assert "rolled_back" not in registry.version(settings, judged).tags


def test_a_new_champion_or_the_one_before_ends_the_canary(settings: Settings, store: MlflowClient, judged: str) -> None:
    registry.start_canary(settings, judged, 0.1)
    registry.promote(settings, judged)
    assert aliases(store) == {"champion": judged, "previous": "2"}
    registry.record_verdict(settings, "1", verdict("1", judged))
    registry.start_canary(settings, "1", 0.1)
    registry.roll_back(settings, "off")
    assert aliases(store) == {"champion": "2", "previous": judged}


def test_what_promotes_nothing_leaves_the_canary(
    settings: Settings, store: MlflowClient, judged: str, add_version: Callable[..., str]
) -> None:
    registry.start_canary(settings, judged, 0.1)
    with pytest.raises(NotPromotableError):
        registry.promote(settings, add_version())
    assert aliases(store)["canary"] == judged


def test_a_share_that_somebody_wrote_over_is_nobody(settings: Settings, store: MlflowClient, judged: str) -> None:
    registry.start_canary(settings, judged, 0.1)
    for text in ("half", "nan", "-1", "7"):
        store.set_registered_model_tag("ad_ctr", "canary_share", text)
        assert registry.routing(settings).canary_share == 0


def test_a_shadow_needs_no_verdict_but_a_version_and_its_alias(
    settings: Settings, store: MlflowClient, two_champions: tuple[str, str], add_version: Callable[..., str]
) -> None:
    version = add_version(feature_set_hash="abc")
    assert registry.set_shadow(settings, version) is None
    assert registry.set_shadow(settings, version, "shadow_old") is None
    assert registry.set_shadow(settings, "1", "shadow_old") == version
    assert aliases(store) == {"champion": "2", "previous": "1", "shadow": version, "shadow_old": "1"}
    assert registry.live_feature_sets(settings) == {"abc"}
    assert registry.end_shadow(settings) == version
    assert registry.end_shadow(settings) is None
    with pytest.raises(RegistryError, match="no alias of a shadow"):
        registry.set_shadow(settings, version, "champion")
    with pytest.raises(RegistryError, match="no alias of a shadow"):
        registry.end_shadow(settings, "champion")
    for number in ("77", "abc"):
        with pytest.raises(UnknownVersionError, match=f"ad_ctr has no version {number}"):
            registry.set_shadow(settings, number)
        with pytest.raises(UnknownVersionError, match=f"ad_ctr has no version {number}"):
            registry.start_canary(settings, number, 0.1)
