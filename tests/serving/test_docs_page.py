import base64
import hashlib
import json
import re
from typing import Any


def sha256(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def test_the_page_shows_every_route_with_its_examples_and_nothing_from_elsewhere(degraded: Any) -> None:
    paths = degraded.client.get("/openapi.json").json()["paths"]
    page = degraded.client.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    shown = re.findall(r'data-method="(\w+)" data-path="(\S+)"', page.text)
    assert shown == [(method.upper(), path) for path in paths for method in paths[path]]
    assert page.text.count("<option ") == json.dumps(paths).count('{"value": ') > 10
    assert re.findall(r"(?:https?:)?//[\w.]+", page.text) == []
    assert re.findall(r"<(?:link|img|iframe|script src)", page.text) == []


def test_the_policy_of_the_page_allows_its_own_script_and_style_only(degraded: Any) -> None:
    page = degraded.client.get("/docs")
    policy = dict(rule.split(" ", 1) for rule in page.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    for tag, rule in (("script", "script-src"), ("style", "style-src")):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page.text, re.DOTALL)
        assert policy[rule] == sha256(content)
    assert "style=" not in page.text
    assert re.findall(r" on\w+=", page.text) == []
