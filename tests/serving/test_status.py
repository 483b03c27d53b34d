from typing import Any


def test_health_tells_every_part_when_all_is_well(served: Any) -> None:
    assert served.health() == {
        "status": "ok",
        "model": {
            "version": "1",
            "problem": None,
            "refused": None,
            "failures": 0,
            "last_failure": None,
            "others": [],
        },
        "registry": {"state": "ok", "problem": None},
        "snapshot": {"state": "fresh", "as_of": "2019-11-30T12:00:00Z", "age_seconds": 1800.0, "problem": None},
        "landing": {"state": "ok", "problem": None},
        "keys": {"state": "ok", "problem": None},
    }


def test_a_verdict_is_told_in_its_own_words(served: Any) -> None:
    from data_contracts.model_versions import Verdict

    registered = served.application.models.current.registered
    verdict = Verdict("promote", ("calibration ratio 1.01 is in the band", "nothing better stands"), (), {})
    object.__setattr__(registered, "verdict", verdict)
    assert served.client.get("/model/active").json()["verdict"] == {
        "outcome": "promote",
        "summary": "promote: calibration ratio 1.01 is in the band; nothing better stands",
    }


def test_head_is_answered_as_get_is(served: Any) -> None:
    for path in ("/health", "/model/active"):
        answer = served.client.head(path)
        assert (answer.status_code, answer.content) == (200, b"")
        assert int(answer.headers["content-length"]) > 100
