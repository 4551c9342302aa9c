"""What is said of an upload, by a clock of our own."""

from scripts.boards import progress
from scripts.boards.progress import Progress


def test_share_rate_and_time_left() -> None:
    said: list[str] = []
    time = [0.0]
    shown = Progress(said.append, lambda: time[0])
    shown.start(100_000_000, 20_000_000)
    time[0] = progress._seconds_between_lines() / 2
    shown.advance(1)
    time[0] = 20.0
    shown.advance(39_999_999)
    time[0] = 40.0
    shown.finish()
    assert said == [
        "20.0 MB of 100.0 MB are there already",
        "60 % of 100.0 MB, 2.0 MB/s, 20 s left",
        "40.0 MB sent in 40.0 s, 1.0 MB/s",
    ]
