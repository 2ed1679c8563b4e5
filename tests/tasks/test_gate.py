"""A receiver has its share of a process's threads, and no more."""

from contextlib import ExitStack

import pytest

from tasks.gate import Gate


def test_one_more_than_the_share_is_turned_away_and_that_is_remembered() -> None:
    gate = Gate()
    with gate.turn(2) as first, gate.turn(2) as second, gate.turn(2) as third:
        assert first.enter("a")
        assert second.enter("a")
        assert not gate.turned_away("a")
        assert not third.enter("a")
        assert third.receiver is None
    assert gate.turned_away("a")
    gate.forgive("a")
    assert not gate.turned_away("a")


def test_another_receiver_has_a_share_of_its_own() -> None:
    gate = Gate()
    with gate.turn(1) as one, gate.turn(1) as other:
        assert one.enter("a")
        assert other.enter("b")


def test_whoever_fails_inside_makes_room_all_the_same() -> None:
    gate = Gate()

    def fail() -> None:
        with gate.turn(1) as turn:
            assert turn.enter("a")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with gate.turn(1) as turn:
        assert turn.enter("a")


def test_whoever_was_turned_away_does_not_make_room_by_leaving() -> None:
    gate = Gate()
    with gate.turn(1) as inside:
        assert inside.enter("a")
        with gate.turn(1) as outside:
            assert not outside.enter("a")
        with gate.turn(1) as another:
            assert not another.enter("a")


def test_the_last_threads_are_for_receivers_that_have_none() -> None:
    gate = Gate(threads=16)
    turns = [gate.turn(8) for _ in range(17)]
    with ExitStack() as stack:
        entered = [stack.enter_context(turn) for turn in turns]
        inside = [
            turn.enter("slow" if place < 8 else "slower") for place, turn in enumerate(entered[:15])
        ]
        assert inside == [True] * 14 + [False]
        assert entered[15].enter("quick")
        assert not entered[16].enter("quick")


def test_while_nobody_says_how_many_threads_there_are_none_is_kept() -> None:
    gate = Gate()
    with ExitStack() as stack:
        assert all(stack.enter_context(gate.turn(50)).enter("a") for _ in range(50))


def test_whoever_is_inside_stays_and_has_no_room_for_another_receiver() -> None:
    gate = Gate()
    with gate.turn(1) as turn:
        answers = [(turn.enter(receiver), turn.refused) for receiver in ("a", "a", "b")]
    assert answers == [(True, False), (True, False), (False, True)]
    with gate.turn(1) as turn:
        assert turn.enter("a")
