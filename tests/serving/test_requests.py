import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.problems import FieldError, ProblemError
from serving.requests import PredictRequest, check_content_type, parsed


def refusal(body: bytes) -> tuple[int, list[tuple[str, str]]]:
    with pytest.raises(ProblemError) as caught:
        parsed(body, default_position=3, slate_limit=4)
    return caught.value.status, [(error.loc, error.code) for error in caught.value.errors]


def single(features: str) -> bytes:
    return b'{"user_id": "u", "ad_id": "a", "features": %s}' % features.encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b'{"user_id": "u", "ad_id": "a"',
        b'{"user_id": "u", "ad_id": "a"} x',
        b'{"user_id": "u", "ad_id": "a"}{}',
        b'{"user_id": "\xff", "ad_id": "a"}',
        '{"user_id": "u", "ad_id": "a"}'.encode("utf-16"),
        b'\xef\xbb\xbf{"user_id": "u", "ad_id": "a"}',
        b'{"user_id": "\\ud800", "ad_id": "a"}',
        b'{"user_id": "u\x00", "ad_id": "a"}',
        single('{"x": NaN}'),
        single('{"x": Infinity}'),
        single('{"x": 1e999}'),
        single('{"x": %s}' % ("9" * 5000)),
        single('{"x": 01}'),
        single('{"x": ' + "[" * 33 + "]" * 33 + "}"),
        single('{"x": ' + "[" * 100_000 + "]" * 100_000 + "}"),
        b'{"z": 1, "user_id": "u',
    ],
)
def test_a_body_that_is_no_json_is_400(body: bytes) -> None:
    assert refusal(body) == (400, [])


@pytest.mark.parametrize(
    ("body", "loc", "code"),
    [
        (b"[]", "body", "wrong_type"),
        (b"null", "body", "wrong_type"),
        (b"{}", "user_id", "missing"),
        (b'{"ad_id": "a"}', "user_id", "missing"),
        (b'{"user_id": "u"}', "ad_id", "missing"),
        (b'{"user_id": null, "ad_id": "a"}', "user_id", "wrong_type"),
        (b'{"user_id": 7, "ad_id": "a"}', "user_id", "wrong_type"),
        (b'{"user_id": "", "ad_id": "a"}', "user_id", "wrong_length"),
        (b'{"user_id": "%s", "ad_id": "a"}' % (b"u" * 257), "user_id", "wrong_length"),
        (b'{"user_id": "u\\u0000", "ad_id": "a"}', "user_id", "nul_character"),
        (b'{"user_id": "u", "ad_id": 7}', "ad_id", "wrong_type"),
        (b'{"user_id": "u", "ad_id": "a", "age": 7}', "age", "unknown_field"),
        (b'{"user_id": "u", "ad_id": "a", "ads": [{"ad_id": "b"}]}', "ad_id", "give_ad_id_or_ads_not_both"),
        (b'{"user_id": "u", "ads": []}', "ads", "wrong_length"),
        (b'{"user_id": "u", "ads": {"ad_id": "a"}}', "ads", "wrong_type"),
        (b'{"user_id": "u", "ads": ["a"]}', "ads[0]", "wrong_type"),
        (b'{"user_id": "u", "ads": [{"ad_id": "a"}, {}]}', "ads[1].ad_id", "missing"),
        (b'{"user_id": "u", "ads": [{"ad_id": "a", "bid": 1}]}', "ads[0].bid", "unknown_field"),
        (b'{"user_id": "u", "ads": [%s]}' % b",".join([b'{"ad_id": "a"}'] * 5), "ads", "too_many"),
        (
            b'{"user_id": "u", "ads": [{"ad_id": "a", "features": {"site": "x", "age": []}}]}',
            "ads[0].features.age",
            "wrong_type",
        ),
        (b'{"user_id": "u", "ads": [{"ad_id": "a\\u0000"}]}', "ads[0].ad_id", "nul_character"),
        (single("null"), "features", "wrong_type"),
        (single("[]"), "features", "wrong_type"),
        (single('{"site": "x", "age": null}'), "features.age", "wrong_type"),
        (single('{"site": {"name": "x"}}'), "features.site", "wrong_type"),
        (single('{"site": ' + "[" * 20 + "]" * 20 + "}"), "features.site", "wrong_type"),
        (single('{"site": "%s"}' % ("x" * 257)), "features.site", "wrong_length"),
        (single('{"age": 1000000000001}'), "features.age", "out_of_range"),
        (single('{"age": -1.1e12}'), "features.age", "out_of_range"),
        (single('{"age": 123456789012345678901234567890}'), "features.age", "out_of_range"),
        (single('{"": 1}'), "features", "wrong_length"),
        (single(json.dumps({str(number): 1 for number in range(257)})), "features", "wrong_length"),
        (single('{"a\\u0000": 1}'), "features", "nul_character"),
        (single('{"position": 0}'), "features.position", "out_of_range"),
        (single('{"position": 1001}'), "features.position", "out_of_range"),
        (single('{"position": 2.0}'), "features.position", "wrong_type"),
        (single('{"position": "2"}'), "features.position", "wrong_type"),
        (single('{"position": true}'), "features.position", "wrong_type"),
        (
            b'{"user_id": "u", "ads": [{"ad_id": "a"}, {"ad_id": "b", "features": {"position": 0}}]}',
            "ads[1].features.position",
            "out_of_range",
        ),
    ],
)
def test_json_that_breaks_the_contract_is_422_with_the_field_named(body: bytes, loc: str, code: str) -> None:
    assert refusal(body) == (422, [(loc, code)])


@pytest.mark.parametrize(
    "name", ["z - at `$.features[...]", "z` - at `$.features[...]", "z` - at `$.ads[7].x[...]`", "`\n"]
)
def test_a_field_name_that_reads_like_a_path_is_only_an_unknown_field(name: str) -> None:
    status, errors = refusal(json.dumps({"user_id": "u", "ad_id": "a", name: 1}).encode())
    assert (status, len(errors)) == (422, 1)


def test_a_long_field_name_is_cut() -> None:
    assert refusal(b'{"user_id": "u", "ad_id": "a", "%s": 1}' % (b"z" * 9999)) == (422, [("z" * 200, "unknown_field")])


def test_the_single_form_is_a_slate_of_one() -> None:
    request = parsed(single('{"device_type": "phone", "age": 7, "is_new": true, "score": -0.5}'), 3, 4)
    (candidate,) = request.candidates
    assert (request.user_id, request.is_slate, candidate.ad_id, candidate.position) == ("u", False, "a", 3)
    assert request.features == {"device_type": "phone", "age": 7, "is_new": True, "score": -0.5}
    assert candidate.features == {}


def test_an_ad_has_features_of_its_own_and_the_slot_of_the_request_where_it_states_none() -> None:
    body = b"""{"user_id": "u", "features": {"site": "news", "position": 5},
                "ads": [{"ad_id": "a", "features": {"site": "sport", "position": 2}}, {"ad_id": "b"}]}"""
    request = parsed(body, 3, 4)
    first, second = request.candidates
    assert request.features["site"] == "news"
    assert (first.ad_id, first.position, first.features["site"]) == ("a", 2, "sport")
    assert (second.ad_id, second.position, second.features) == ("b", 5, {})


def test_of_a_key_given_twice_the_last_value_counts() -> None:
    assert parsed(b'{"user_id": "u", "user_id": "v", "ad_id": "a"}', 3, 4).user_id == "v"


@pytest.mark.parametrize(
    "value", [b"application/json", b"Application/JSON; charset=UTF-8", b'application/json;charset="utf-8"']
)
def test_json_in_utf_8_is_taken(value: bytes) -> None:
    check_content_type({b"content-type": value})


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {b"content-type": b"text/plain"},
        {b"content-type": b"application/json; charset=latin-1"},
        {b"content-type": b"application/json; charset=utf-16"},
        {b"content-type": b"application/x-www-form-urlencoded"},
        {b"content-type": b"multipart/form-data; boundary=x"},
        {b"content-type": b"application/json", b"content-encoding": b"gzip"},
    ],
)
def test_any_other_content_is_415(headers: dict[bytes, bytes]) -> None:
    with pytest.raises(ProblemError) as caught:
        check_content_type(headers)
    assert caught.value.status == 415


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(["user_id", "ad_id", "ads", "features", "z"])


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.binary(max_size=60)
    | st.dictionaries(FIELDS, JSON_VALUES, max_size=5).map(lambda value: json.dumps(value).encode())
)
def test_whatever_comes_in_is_a_request_or_a_problem(body: bytes) -> None:
    try:
        request = parsed(body, default_position=3, slate_limit=4)
    except ProblemError as problem:
        assert problem.status in (400, 422)
        assert bool(problem.errors) == (problem.status == 422)
    else:
        assert isinstance(request, PredictRequest)


def test_a_refusal_never_repeats_a_value() -> None:
    with pytest.raises(ProblemError) as caught:
        parsed(b'{"user_id": ["jane.doe@example.org"], "ad_id": "a"}', 3, 4)
    assert caught.value.errors == (FieldError("user_id", "wrong_type"),)
    assert b"jane" not in caught.value.response().body
