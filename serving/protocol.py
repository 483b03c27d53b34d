"""uvicorn's HTTP/1.1 protocol with limits on what comes before a body, and refusals as problem documents."""

from serving.direct import DirectProtocol
from serving.problems import ProblemError

URL_LIMIT_BYTES = 8192
HEADERS_LIMIT_BYTES = 16384
UNFINISHED_LIMIT_BYTES = 1 << 20
"""Of a head that is not whole yet, with what came in one piece before it: only more than that is surely too much."""
LINE_ENDING_BYTES = len(b": \r\n")


class LimitedProtocol(DirectProtocol):
    """Refuses with 414 a URL, with 431 headers that are too long, with 400 what is no HTTP/1.1, and hangs up then."""

    _head_bytes = 0  # received since the last whole head: at least what the head at hand takes
    _is_in_head = False
    _problem: ProblemError | None = None

    def data_received(self, data: bytes) -> None:
        self._head_bytes += len(data)
        super().data_received(data if self.cycle is not None and self.cycle.more_body else _without_upgrade(data))
        if not self._is_in_head:
            self._head_bytes = 0
        elif not self.transport.is_closing():
            self._problem = self._url_problem() or self._length_problem()
            if self._problem is not None:
                self.send_400_response("")

    def on_message_begin(self) -> None:
        self._is_in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        self._problem = self._url_problem() or self._headers_problem()
        if self._problem is not None:
            raise self._problem
        super().on_headers_complete()

    def _url_problem(self) -> ProblemError | None:
        if len(self.url) > URL_LIMIT_BYTES:
            return ProblemError(414, "url_too_long", f"at most {URL_LIMIT_BYTES} bytes")
        return None if self.url[:1] in (b"", b"/") else ProblemError(400, "malformed_http", "the path begins with /")

    def _headers_problem(self) -> ProblemError | None:
        hosts = [name for name, _ in self.headers].count(b"host")
        if hosts > 1 or (not hosts and self.parser.get_http_version() == "1.1"):
            return ProblemError(400, "malformed_http", "send one Host")
        return self._length_problem()

    def _length_problem(self) -> ProblemError | None:
        """The parser shows a header once it is whole; one that never ends is known by all that came."""
        if self._head_bytes <= HEADERS_LIMIT_BYTES:
            return None
        size = sum(len(name) + len(value) + LINE_ENDING_BYTES for name, value in self.headers)
        if size > HEADERS_LIMIT_BYTES or self._head_bytes > UNFINISHED_LIMIT_BYTES:
            return ProblemError(431, "headers_too_long", f"at most {HEADERS_LIMIT_BYTES} bytes")
        return None

    def send_400_response(self, msg: str) -> None:
        """What uvicorn calls where the parser gave up. A request before this one that is whole is answered first."""
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete and not cycle.more_body:
            cycle.keep_alive = False
            self.flow.pause_reading()
            return
        problem = self._problem or ProblemError(400, "malformed_http", "this is no HTTP/1.1")
        self.app.metrics.refused(problem.kind)
        self.write_response(problem.response(), keep_alive=False)
        self.transport.close()


def _without_upgrade(data: bytes) -> bytes:
    """A request whose client offers to change the protocol, as Java's does, is answered in this one: the offer is given
    another name, for behind a header Upgrade the parser would take the body for the other protocol."""
    at = data.find(b"pgrade:", 0, data.find(b"\r\n\r\n"))
    is_offer = at >= 3 and data[at - 3 : at] in (b"\r\nU", b"\r\nu")
    return data[:at] + b"nknown:" + data[at + len(b"pgrade:") :] if is_offer else data
