"""A receiver has its share of a process's threads, and no more; what finds no room is parked."""

from contextlib import ExitStack
from uuid import UUID, uuid4

import pytest

from tasks.gate import Gate

ONE = [uuid4()]


def enter(stack: ExitStack, gate: Gate, receiver: str, most: int = 8) -> bool:
    return stack.enter_context(gate.enter(receiver, [uuid4()], most))


def test_one_more_than_the_share_finds_no_room_and_is_parked() -> None:
    gate = Gate()
    with gate.enter("a", ONE, 2) as first, gate.enter("a", ONE, 2) as second:
        assert (first, second) == (True, True)
        third, fourth = [uuid4(), uuid4()], [uuid4()]
        with gate.enter("a", third, 2) as inside:
            assert not inside
        with gate.enter("a", [third[0], *fourth], 2) as inside:
            assert not inside
    assert gate.take("b", 8) == []
    assert gate.take("a", 2) == third
    assert gate.take("a", 2) == fourth
    assert gate.take("a", 2) == []


def test_another_receiver_has_a_share_of_its_own() -> None:
    gate = Gate()
    with gate.enter("a", ONE, 1) as one, gate.enter("b", ONE, 1) as other:
        assert (one, other) == (True, True)


def test_whoever_fails_inside_makes_room_all_the_same() -> None:
    gate = Gate()
    with pytest.raises(ZeroDivisionError), gate.enter("a", ONE, 1):
        raise ZeroDivisionError
    with gate.enter("a", ONE, 1) as inside:
        assert inside


def test_whoever_found_no_room_does_not_make_any_by_leaving() -> None:
    gate = Gate()
    with gate.enter("a", ONE, 1):
        for _ in range(2):
            with gate.enter("a", ONE, 1) as inside:
                assert not inside


def test_the_last_threads_are_for_receivers_that_have_none() -> None:
    gate = Gate(threads=18)
    with ExitStack() as stack:
        inside = [enter(stack, gate, "slow" if place < 8 else "slower") for place in range(16)]
        assert inside == [True] * 16
        assert not enter(stack, gate, "third") or not enter(stack, gate, "third")
        assert not enter(stack, gate, "slower", 99)
        assert enter(stack, gate, "quick")


def test_while_nobody_says_how_many_threads_there_are_none_is_kept() -> None:
    gate = Gate()
    with ExitStack() as stack:
        assert all(enter(stack, gate, "a", 50) for _ in range(50))


def test_what_is_parked_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()
    monkeypatch.setattr("tasks.gate.REMEMBERED", 2)
    keys: list[UUID] = [uuid4() for _ in range(3)]
    with gate.enter("a", ONE, 1):
        for key in keys:
            with gate.enter("a", [key], 1):
                pass
    assert gate.take("a", 9) == keys[:2]


def test_somebody_looks_for_lost_messages_now_and_then() -> None:
    gate = Gate()
    assert [gate.may_look(name) for name in ("a", "a", "b")] == [True, False, True]


def test_what_is_parked_is_parted_among_who_is_inside_and_who_may_come() -> None:
    gate, keys = Gate(threads=18), [uuid4() for _ in range(20)]
    with gate.enter("a", [], 4):
        gate.park("a", keys)
        assert gate.call("a", 4, 8) == [keys[:5], keys[5:10], keys[10:15]]
        assert gate.part("a", 8) == keys[15:]
        assert gate.part("a", 8) == []


def test_nobody_takes_up_more_at_once_than_is_said() -> None:
    gate, keys = Gate(threads=18), [uuid4() for _ in range(20)]
    with gate.enter("a", [], 2):
        gate.park("a", keys)
        assert gate.call("a", 2, 8) == [keys[:8]]
        assert gate.part("a", 3) == keys[8:11]


def test_whoever_is_called_has_a_place_until_he_comes() -> None:
    gate = Gate(threads=18)
    with ExitStack() as stack:
        enter(stack, gate, "a", 4)
        gate.park("a", [uuid4() for _ in range(9)])
        assert [len(part) for part in gate.call("a", 4, 1)] == [1, 1, 1]
        assert gate.call("a", 4, 1) == []
        with gate.enter("a", ONE, 4):
            assert gate.call("a", 4, 1) == []
        assert len(gate.call("a", 4, 1)) == 1


def test_whoever_is_called_and_does_not_come_loses_his_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tasks.gate.CALLED_SECONDS", 0.0)
    gate = Gate(threads=18)
    with gate.enter("a", [], 4):
        gate.park("a", [uuid4() for _ in range(9)])
        assert [len(gate.call("a", 4, 1)) for _ in range(2)] == [3, 3]


def test_the_places_to_call_to_are_what_neither_the_cap_nor_others_take() -> None:
    gate = Gate(threads=18)
    with ExitStack() as stack:
        for receiver in ("a", *(f"other{number}" for number in range(14))):
            enter(stack, gate, receiver, 4)
        gate.park("a", [uuid4() for _ in range(9)])
        # Two of the three that are left are kept for receivers that have none.
        assert len(gate.call("a", 4, 8)) == 1
        enter(stack, gate, "one more", 4)
        assert gate.call("a", 4, 8) == []


def test_of_a_receiver_that_nobody_speaks_to_nothing_is_kept() -> None:
    gate = Gate(threads=18)
    with gate.enter("a", [], 4):
        gate.park("a", [uuid4()])
        assert len(gate.call("a", 4, 1)) == 1
    assert not gate._called
    assert not gate._inside
    assert not gate._parked
