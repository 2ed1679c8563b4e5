"""Live tails side by side: what one has read serves the others for a moment."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.console import tails as module
from app.console.tails import BEHIND, tails
from app.extensions import db
from app.services import feed, ingest, storing
from tests.app.client import Client
from tests.app.console.browser import Browser
from tests.app.console.test_events import rows_of, tail_of
from tests.app.helpers import evaluate, make_rule, post_event
from tests.app.statements import sent
from tests.conftest import TestClock

LIVE = "/console/events?live=1"


@pytest.fixture
def sharing(monkeypatch: pytest.MonkeyPatch, tails_share_nothing: None) -> None:
    """What was read stays new for as long as a test takes."""
    monkeypatch.setattr(tails, "seconds", 600)
    monkeypatch.setattr(tails, "_read", {})


@pytest.mark.usefixtures("sharing")
def test_what_one_tail_has_read_another_does_not_read_again(
    app: Flask, client: Client, clock: TestClock
) -> None:
    make_rule(client)
    first, second = Browser(app), Browser(app)
    at, other = tail_of(first.open(LIVE)), tail_of(second.open(LIVE))
    event = post_event(client)
    evaluate(clock())
    with sent() as asked_first:
        html = first.part(at)
    with sent() as asked_second:
        assert second.part(other) == html
    assert rows_of(html) == [event]
    assert "badge accent" in html
    # Whether anything has come at all, after its own cursor.
    assert len(asked_second) == 1 < len(asked_first)


@pytest.mark.usefixtures("sharing")
def test_each_tail_gets_what_came_after_its_own_cursor(
    app: Flask, client: Client, clock: TestClock
) -> None:
    first, second = Browser(app), Browser(app)
    at = tail_of(first.open(LIVE))
    one = post_event(client)
    evaluate(clock())
    clock.tick(10)
    other = tail_of(second.open(LIVE))
    two = post_event(client)
    evaluate(clock())
    assert rows_of(first.part(at)) == [two, one]
    assert rows_of(second.part(other)) == [two]


@pytest.mark.usefixtures("sharing")
def test_tails_of_another_question_share_nothing(app: Flask, client: Client) -> None:
    first, second = Browser(app), Browser(app)
    at = tail_of(first.open(f"{LIVE}&type=order"))
    other = tail_of(second.open(f"{LIVE}&type=login"))
    order, login = post_event(client), post_event(client, type="login")
    assert rows_of(first.part(at)) == [order]
    assert rows_of(second.part(other)) == [login]


@pytest.mark.usefixtures("sharing")
def test_a_tail_that_asks_from_further_back_is_answered_alone(
    app: Flask, client: Client, clock: TestClock
) -> None:
    first, second = Browser(app), Browser(app)
    at = tail_of(first.open(LIVE))
    long_ago = post_event(client)
    evaluate(clock())
    clock.tick(BEHIND.total_seconds() + 1)
    other = tail_of(second.open(LIVE))
    now = post_event(client)
    assert rows_of(second.part(other)) == [now]
    assert rows_of(first.part(at)) == [now, long_ago]


def test_a_batch_that_takes_long_to_be_stored_is_shown_once_it_is(
    app: Flask, client: Client, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its events were accepted as its transaction began, which takes longer than a tail looks back."""
    monkeypatch.setattr(feed, "OVERLAP", timedelta(0))
    tail, reloaded = Browser(app), Browser(app)
    at = tail_of(tail.open(LIVE))
    with Session(db.engine) as sender:
        slow = ingest.check({"type": "order"}, '{"type": "order"}').arrive(clock.tick(1))
        ingest.store_many(sender, [slow], source="http")
        sender.execute(text("SELECT pg_sleep(0.01)"))
        clock.now += storing.SETTLING
        quick = post_event(client)
        html = tail.part(at)
        assert rows_of(html) == [quick]
        again = tail_of(reloaded.open(LIVE))
        sender.commit()
    assert rows_of(tail.part(tail_of(html))) == [quick, slow.id]
    assert rows_of(reloaded.part(again)) == [quick, slow.id]


def test_what_was_read_gets_old(app: Flask, client: Client) -> None:
    first, second = Browser(app), Browser(app)
    at, other = tail_of(first.open(LIVE)), tail_of(second.open(LIVE))
    one = post_event(client)
    assert rows_of(first.part(at)) == [one]
    two = post_event(client)
    assert set(rows_of(second.part(other))) == {one, two}


def test_what_a_tail_missed_while_another_was_read_it_shows_the_next_time(
    app: Flask, client: Client, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "A_MOMENT", 600)
    tail = Browser(app)
    at = tail_of(tail.open(LIVE))
    shown = post_event(client)
    evaluate(clock())
    clock.tick(4)
    html = tail.part(at)
    assert rows_of(html) == [shown]
    clock.tick(2)
    missed = post_event(client)
    evaluate(clock())
    clock.tick(8)
    with tails._reading:
        html = tail.part(tail_of(html))
    assert rows_of(html) == []
    clock.tick(10)
    newest = post_event(client)
    assert rows_of(tail.part(tail_of(html))) == [newest, missed]


def test_what_was_read_long_ago_is_shown_to_nobody_whoever_reads(
    app: Flask, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    tail = Browser(app)
    at = tail_of(tail.open(LIVE))
    one = post_event(client)
    assert rows_of(tail.part(at)) == [one]
    two = post_event(client)
    monkeypatch.setattr(module, "A_MOMENT", 0)
    with tails._reading:
        assert set(rows_of(tail.part(at))) == {one, two}
