"""The log as a JSON object a line, for whatever collects logs; what it may say is said by who writes it: no personal
value is ever logged."""

import logging
from datetime import UTC, datetime

import msgspec

from data_contracts.landing_lines import instant_text


class JsonLines(logging.Formatter):
    """`time`, `level`, `logger`, `message`, and `error`, the traceback, where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        told = {
            "time": instant_text(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            told["error"] = self.formatException(record.exc_info)
        return msgspec.json.encode(told).decode()


def begin_log() -> None:
    """To standard error, from INFO on."""
    to_standard_error = logging.StreamHandler()
    to_standard_error.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[to_standard_error])
