"""Promotion from the shell: what moves, what stays, and how a refusal reads."""

from collections.abc import Callable

import pytest
from mlflow import MlflowClient

from data_contracts import registry
from data_contracts.model_versions import Outcome, Verdict
from data_contracts.settings import load
from ml import evaluate, promote
from tests.ml import learnable_market as market

FIRST, SECOND = market.FIRST_AS_OF.isoformat(), market.SECOND_AS_OF.isoformat()


def aliases(store: MlflowClient) -> dict[str, str]:
    return {alias: str(version) for alias, version in store.get_registered_model("ad_ctr").aliases.items()}


def test_a_challenger_that_passed_becomes_champion_and_the_one_before_is_kept(
    add_version: Callable[..., str], store: MlflowClient, capsys: pytest.CaptureFixture[str]
) -> None:
    add_version("uncalibrated", market.FIRST_AS_OF, "champion")
    add_version("good", market.SECOND_AS_OF, "challenger")
    assert evaluate.main(["--as-of", SECOND]) == 0
    assert promote.main(["--as-of", SECOND]) == 0
    assert aliases(store) == {"champion": "2", "challenger": "2", "previous": "1"}
    assert "PROMOTED: version 2 of ad_ctr is now the champion; version 1 is kept as previous" in capsys.readouterr().out


def test_a_challenger_waits_for_the_canary_and_a_canary_for_nobody(
    add_version: Callable[..., str], store: MlflowClient, capsys: pytest.CaptureFixture[str]
) -> None:
    add_version("uncalibrated", market.FIRST_AS_OF, "champion")
    add_version("good", market.SECOND_AS_OF, "challenger")
    assert evaluate.main(["--as-of", SECOND]) == 0
    store.set_registered_model_alias("ad_ctr", "canary", add_version("good", market.FIRST_AS_OF, "other"))
    assert promote.main(["--as-of", SECOND]) == 0
    assert aliases(store)["champion"] == "1"
    assert "NOT PROMOTED: version 3 is the canary, and a new champion would end it" in capsys.readouterr().out
    store.set_registered_model_alias("ad_ctr", "canary", "2")
    assert promote.main(["--as-of", SECOND]) == 0
    assert {"champion": "2", "previous": "1"}.items() <= aliases(store).items()
    assert "canary" not in aliases(store)


def test_a_second_promotion_changes_nothing(
    add_version: Callable[..., str], store: MlflowClient, capsys: pytest.CaptureFixture[str]
) -> None:
    add_version("good", market.FIRST_AS_OF, "challenger")
    assert evaluate.main(["--as-of", FIRST]) == 0
    assert promote.main(["--as-of", FIRST]) == 0
    assert evaluate.main(["--as-of", FIRST]) == 0
    assert promote.main(["--as-of", FIRST]) == 0
    assert aliases(store) == {"champion": "1", "challenger": "1"}
    assert "version 1 of ad_ctr is the champion already\n" in capsys.readouterr().out


def test_a_refusal_is_a_result_in_plain_words(
    add_version: Callable[..., str], store: MlflowClient, capsys: pytest.CaptureFixture[str]
) -> None:
    add_version("uncalibrated", market.FIRST_AS_OF, "challenger")
    assert evaluate.main(["--as-of", FIRST]) == 0
    assert promote.main(["--as-of", FIRST]) == 0
    assert aliases(store) == {"challenger": "1"}
    said = capsys.readouterr().out
    assert "NOT PROMOTED: version 1 of ad_ctr is not promoted: refuse: " in said
    assert "misses the band 0.9 to 1.1" in said
    assert said.endswith("there is still no champion\n")


@pytest.mark.parametrize("outcome", ["wait_for_person", "not_comparable"])
def test_a_verdict_that_a_person_may_release_says_how_and_is_released_by_naming_one(
    add_version: Callable[..., str], store: MlflowClient, capsys: pytest.CaptureFixture[str], outcome: Outcome
) -> None:
    version = add_version("good", market.FIRST_AS_OF, "challenger")
    evidence = {"challenger_version": version, "champion_version": None}
    registry.record_verdict(load(), version, Verdict(outcome, ("look at it",), (), evidence))
    assert promote.main(["--as-of", FIRST]) == 0
    assert aliases(store) == {"challenger": "1"}
    assert capsys.readouterr().out == (
        f"NOT PROMOTED: version 1 of ad_ctr is not promoted: {outcome}: look at it\n"
        "whoever has looked at it releases it: "
        "clicklake model promote 1 --approved-by NAME\n"
        "there is still no champion\n"
    )
    registry.promote(load(), version, "Ada")
    assert aliases(store) == {"challenger": "1", "champion": "1"}
    assert store.get_model_version("ad_ctr", "1").tags["approved_by"] == "Ada"


def test_a_champion_whose_inputs_are_gone_is_replaced_once_a_person_approves(
    add_version: Callable[..., str], store: MlflowClient
) -> None:
    add_version("wider features", market.FIRST_AS_OF, "champion")
    add_version("good", market.SECOND_AS_OF, "challenger")
    assert evaluate.main(["--as-of", SECOND]) == 0
    assert promote.main(["--as-of", SECOND]) == 0
    assert aliases(store) == {"champion": "1", "challenger": "2"}
    registry.promote(load(), "2", "Ada")
    assert aliases(store) == {"champion": "2", "challenger": "2", "previous": "1"}
    assert store.get_model_version("ad_ctr", "2").tags["approved_by"] == "Ada"


def test_nobody_releases_a_refusal_and_no_way_to_is_offered(
    add_version: Callable[..., str], store: MlflowClient, capsys: pytest.CaptureFixture[str]
) -> None:
    add_version("uncalibrated", market.FIRST_AS_OF, "challenger")
    assert evaluate.main(["--as-of", FIRST]) == 0
    assert promote.main(["--as-of", FIRST]) == 0
    with pytest.raises(registry.NotPromotableError):
        registry.promote(load(), "1", "Ada")
    assert aliases(store) == {"challenger": "1"}
    assert "--approved-by" not in capsys.readouterr().out
    assert "approved_by" not in store.get_model_version("ad_ctr", "1").tags


def test_a_challenger_that_was_not_evaluated_is_not_promoted(
    add_version: Callable[..., str], store: MlflowClient, capsys: pytest.CaptureFixture[str]
) -> None:
    add_version("good", market.FIRST_AS_OF, "challenger")
    assert promote.main(["--as-of", FIRST]) == 0
    assert aliases(store) == {"challenger": "1"}
    assert "NOT PROMOTED: version 1 of ad_ctr has no verdict; evaluate it first" in capsys.readouterr().out


def test_the_challenger_of_another_as_of_is_an_error(
    add_version: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    add_version("good", market.FIRST_AS_OF, "challenger")
    assert promote.main(["--as-of", SECOND]) == 1
    assert capsys.readouterr().err.startswith("error: the challenger, version 1 of ad_ctr, was trained as of")
