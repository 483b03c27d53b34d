"""The bench of serving asks a real server about ads that it knows, and is answered by the model."""

import json
from contextlib import ExitStack
from itertools import islice

import httpx

from bench.first_run import overlay
from bench.offered_load import SHARES, offered, picture
from bench.scored_world import made
from bench.scoring_servers import servers
from bench.serving import measured
from data_contracts.settings import HOME_CONF, load


def test_a_real_server_is_measured_on_known_users_and_ads(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")  # made() sets it: the patch takes that back
    conf = overlay(tmp_path)
    settings = load({"CLICKLAKE_HOME": str(tmp_path / "home"), "CLICKLAKE_CONF": str(conf)})
    settings.home.mkdir()
    (settings.home / HOME_CONF).write_text(conf.read_text())
    with ExitStack() as stack:
        (server,) = servers(stack, made(settings, users=200, ads=100), tmp_path, ["clicklake"], [1, 5])
        for request in islice(server.requests[5], 3):
            body = request.partition(b"\r\n\r\n")[2]
            answer = httpx.post(
                f"{settings.serving_url}/predict", content=body, headers={"content-type": "application/json"}
            )
            assert answer.json()["source"] == "model"
            told = [ad["ad_id"] for ad in json.loads(body)["ads"]]
            assert [each["ad_id"] for each in answer.json()["predictions"]] == told
            assert len({each["probability"] for each in answer.json()["predictions"]}) > 1
        found = measured(server, 1, 2, 0.3)
        rates = offered(server, found.predictions_a_second / 4, 0.3)
    assert 0 < found.p50 <= found.p99
    assert found.microseconds > 0
    assert found.predictions_a_second > 0
    assert [each.share for each in rates] == list(SHARES)
    assert all(each.goodput > 0 and each.p50 <= each.p99 <= each.p999 for each in rates)
    picture(rates, tmp_path / "offered.svg")
    assert b"<svg" in (tmp_path / "offered.svg").read_bytes()
