from __future__ import annotations

from currents_core.delivering.progress import Progress
from currents_core.sending.figures import SendFigures


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_line_tells_files_rows_rate_throttling_and_what_is_left() -> None:
    clock = Clock()
    progress = Progress(files=4, size=1_000, clock=clock)
    progress.file_done(250)
    progress.rows_read = 1_200
    clock.now = 10.0
    figures = SendFigures(requests=100, sent=900, throttled=50, failed=100, waited=2.4)
    assert progress.line(figures, 0.7) == (
        "1 of 4 files (25%), 1,200 rows read, 900 sent, 90 events/s in 10 requests/s, throttled 5.0%, pace 70%, "
        "waited 2 s, about 30 s left"
    )


def test_nothing_and_everything_have_no_time_left() -> None:
    assert Progress(0, 0).line(SendFigures(), 1.0).endswith("pace 100%, waited 0 s")
    done = Progress(1, 10)
    done.file_done(10)
    assert done.line(SendFigures(), 1.0).startswith("1 of 1 file (100%), 0 rows read")
    assert "left" not in done.line(SendFigures(), 1.0)


def test_long_times_are_told_in_minutes() -> None:
    clock = Clock()
    progress = Progress(2, 1_000, clock=clock)
    progress.file_done(100)
    clock.now = 60.0
    assert progress.line(SendFigures(), 1.0).endswith("about 9 min left")


def test_files_that_are_not_settled_count_as_far_as_they_are() -> None:
    clock = Clock()
    progress = Progress(2, 1_000, clock=clock)
    clock.now = 10.0
    line = progress.line(SendFigures(requests=10, sent=10), 1.0, bytes_begun=200.0)
    assert line.startswith("0 of 2 files (20%)")
    assert "1 event/s in 1 request/s" in line
    assert line.endswith("about 40 s left")
    progress.file_done(900)
    assert "(100%)" in progress.line(SendFigures(), 1.0, bytes_begun=200.0)


def test_it_stands_still_from_the_last_time_that_anything_moved() -> None:
    now = [100.0]
    progress, figures = Progress(files=2, size=10, clock=lambda: now[0]), SendFigures()
    now[0] = 130.0
    assert progress.stands_still(figures) == 30
    progress.rows_read += 1
    assert progress.stands_still(figures) == 0
    now[0] = 140.0
    assert progress.stands_still(figures) == 10
    figures.failed += 1
    assert progress.stands_still(figures) == 0
