"""A long calculation pauses while others want the processor, and only then."""

import time

from tasks import courtesy
from tasks.courtesy import LONGEST_PAUSE, LOOK_SECONDS, PAUSES_A_PIECE, PIECE, Courtesy


class Machine:
    """A thread that runs and waits as it is told."""

    def __init__(self) -> None:
        self.ran = self.waited = self.moment = 0.0
        self.pauses: list[float] = []
        self.courtesy = Courtesy(lambda: (self.ran, self.waited), lambda: self.moment, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.moment += seconds

    def work(self, seconds: float, waits: float = 0.0) -> None:
        """Pieces, each of which waits as well for so much of its time."""
        for _ in range(round(seconds / PIECE)):
            self.ran += PIECE
            self.waited += PIECE * waits
            self.moment += PIECE * (1 + waits)
            self.courtesy()


def test_nobody_who_is_alone_pauses() -> None:
    machine = Machine()
    machine.work(10)
    assert machine.pauses == []


def test_who_is_kept_waiting_leaves_nine_tenths_of_the_time() -> None:
    machine = Machine()
    machine.work(LOOK_SECONDS, waits=0.5)
    began = machine.moment
    machine.work(1, waits=0.5)
    assert 0.11 * (machine.moment - began) > 1
    assert all(pause < 1.1 * PIECE * PAUSES_A_PIECE for pause in machine.pauses)


def test_the_time_that_others_had_already_is_not_given_to_them_again() -> None:
    machine = Machine()
    machine.work(LOOK_SECONDS, waits=50)
    began = machine.ran
    machine.work(1, waits=50)
    pauses = machine.pauses[-round(1 / PIECE) :]
    assert machine.ran - began > 0.99
    assert sum(pauses) < 1.1 * PAUSES_A_PIECE


def test_once_the_others_are_gone_it_goes_on_at_once() -> None:
    machine = Machine()
    machine.work(2, waits=0.5)
    machine.work(LOOK_SECONDS)
    paused = len(machine.pauses)
    machine.work(5)
    assert len(machine.pauses) == paused


def test_a_piece_that_took_long_is_followed_by_no_endless_pause() -> None:
    machine = Machine()
    machine.work(1, waits=1.0)
    machine.moment += 60
    machine.courtesy()
    assert machine.pauses[-1] == LONGEST_PAUSE


def test_the_system_tells_how_long_a_thread_has_run() -> None:
    before, _ = courtesy.scheduled()
    until = time.thread_time() + 0.02
    while time.thread_time() < until:
        pass
    ran, _ = courtesy.scheduled()
    assert before == ran == 0 or ran > before
