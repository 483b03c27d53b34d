import threading

from serving.background import Repeated


def test_an_error_does_not_end_the_repetition() -> None:
    calls: list[int] = []
    enough = threading.Event()

    def fail() -> None:
        calls.append(1)
        if len(calls) == 3:
            enough.set()
        raise RuntimeError("again")

    repeated = Repeated("failing", 0.001, fail)
    repeated.start()
    assert enough.wait(10)
    repeated.stop(10)
    seen = len(calls)
    assert not repeated.is_alive
    assert len(calls) == seen
