"""A receiver has its share of a process's threads, and no more."""

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
