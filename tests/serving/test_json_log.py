import io
import json
import logging

from serving.json_log import JsonLines


def logged(write) -> list[dict[str, str]]:
    stream = io.StringIO()
    handler, logger = logging.StreamHandler(stream), logging.getLogger("tests.json_log")
    handler.setFormatter(JsonLines())
    logger.addHandler(handler)
    try:
        write(logger)
    finally:
        logger.removeHandler(handler)
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_each_record_is_one_line_of_json_whatever_it_says():
    (line,) = logged(lambda logger: logger.warning('two\nlines, "quoted": %s', "ü"))
    assert line.pop("time").endswith("Z")
    assert line == {"level": "WARNING", "logger": "tests.json_log", "message": 'two\nlines, "quoted": ü'}


def test_an_error_has_its_traceback():
    def fail(logger: logging.Logger) -> None:
        try:
            raise ValueError("a reason")
        except ValueError:
            logger.exception("it failed")

    (line,) = logged(fail)
    assert line["message"] == "it failed"
    assert line["error"].endswith("ValueError: a reason")
