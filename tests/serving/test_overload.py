"""An overloaded server: the late are refused at once, and only then."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from data_contracts.settings import Settings
from serving import predict
from tests.serving.conftest import running, wait_for

LIMIT = 0.01
ONE = b'{"user_id": "u", "ad_id": "shoes"}'


@pytest.mark.parametrize("media_type", ["application/json", "application/json; charset=utf-8"])
@pytest.mark.parametrize("is_protected", [True, False])
def test_an_overloaded_server_refuses_with_503_and_answers_the_rest(
    settings: Settings,
    publish: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    is_protected: bool,
    media_type: str,
) -> None:
    """Without the limit, the control, nobody is refused. The second type goes through ASGI."""
    quick = predict.parsed

    def slow(body: bytes, *limits: int) -> Any:
        time.sleep(0.004)
        return quick(body, *limits)

    monkeypatch.setattr(predict, "parsed", slow)
    publish()
    limits = replace(settings.serving, queue_delay_seconds=LIMIT if is_protected else 1000.0)
    with running(replace(settings, serving=limits)) as serving:
        wait_for(lambda: serving.application.snapshots.current)
        answers: list[httpx.Response] = []
        stopping = threading.Event()

        def ask() -> None:
            with httpx.Client(base_url=settings.serving_url, timeout=20) as own:
                while not stopping.is_set():
                    answers.append(own.post("/predict", content=ONE, headers={"content-type": media_type}))

        clients = [threading.Thread(target=ask) for _ in range(48)]
        for client in clients:
            client.start()
        wait_for(lambda: len(answers) > 600)
        stopping.set()
        for client in clients:
            client.join()
        refused = [answer for answer in answers if answer.status_code == 503]
        assert {answer.status_code for answer in answers} - {503} == {200}
        assert bool(refused) is is_protected
        for answer in refused:
            assert answer.headers["retry-after"] == "1"
            assert answer.json()["type"] == "overloaded"
        told = serving.client.get("/metrics").text
        assert ('clicklake_refusals_total{type="overloaded"}' in told) is is_protected
