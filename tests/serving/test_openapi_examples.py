from collections.abc import Iterator
from typing import Any

TAKES_BODIES = {"/predict", "/event/impression", "/event/click", "/catalog/ads", "/catalog/users", "/invocations"}


def bodies(document: Any) -> Iterator[tuple[str, str, Any]]:
    for path, methods in document["paths"].items():
        content = methods.get("post", {}).get("requestBody", {}).get("content", {}).get("application/json", {})
        for title, example in content.get("examples", {}).items():
            yield path, title, example["value"]


def test_each_example_is_taken_as_it_stands(served: Any) -> None:
    document = served.client.get("/openapi.json").json()
    examples = list(bodies(document))
    assert {path for path, _, _ in examples} == TAKES_BODIES
    answers = [(path, title, served.client.post(path, json=body)) for path, title, body in examples]
    gets = [path.format(version=1) for path, methods in document["paths"].items() if "get" in methods]
    asked = [(path, "GET", served.client.get(path)) for path in gets]
    for example in document["paths"]["/model/activate/{version}"]["put"]["requestBody"]["content"]["application/json"][
        "examples"
    ].values():
        asked.append(("/model/activate", "PUT", served.client.put("/model/activate/1", json=example["value"])))
    refused = [(path, title, answer.text) for path, title, answer in answers + asked if not answer.is_success]
    assert refused == []
    statuses = {(path, title): answer.status_code for path, title, answer in answers}
    assert statuses[("/event/impression", "One impression")] == statuses[("/event/click", "A click, and none")] == 201
    assert statuses[("/catalog/ads", "Two ads")] == 207  # the first is the one that "One ad" told already


def test_the_next_document_has_examples_of_its_own(served: Any) -> None:
    first, second = (list(bodies(served.client.get("/openapi.json").json())) for _ in range(2))
    for (path, title, body), (_, _, other) in zip(first, second, strict=True):
        assert (body != other) == path.startswith("/event"), title
