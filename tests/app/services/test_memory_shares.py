"""What was judged together is parted by keys, so that two workers decide at once."""

from uuid import UUID

import pytest
from flask import Flask

from app.config import Memory
from app.extensions import session
from app.services import decisions, matching, shares
from app.services.claims import Claim
from app.services.matching import Judgement
from app.services.shares import Share
from tests.app.client import Client
from tests.app.helpers import claim, make_rule, post_event
from tests.app.services.test_memory_together import at_once
from tests.conftest import TestClock

HITS = 'when count(type == "hit") over 1h by user >= 100 then notify("slack:#many")'
HOSTS = 'when sum(size) over 1h by host >= 100 then notify("slack:#many")'
ORDERS = 'when type == "hit" and size == 3 then notify("slack:#big")'


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parted however little there is."""
    monkeypatch.setattr(shares, "LEAST", 1)


def hits(client: Client, count: int) -> list[UUID]:
    """Events of ten users and as many hosts."""
    return [
        post_event(client, type="hit", user=at % 10, host=at % 7, size=at % 5)
        for at in range(count)
    ]


def judged(held: list[Claim]) -> Judgement:
    judgement = matching.judge(matching.load(session(), held))
    session().commit()
    return judgement


def record(share: Share, clock: TestClock) -> None:
    matching.record(session(), share.held, share.judgement, None, clock())
    session().commit()


def test_each_event_is_in_one_share_and_those_of_a_key_in_the_same_in_their_order(
    client: Client, clock: TestClock
) -> None:
    make_rule(client, HITS, "hits")
    make_rule(client, HITS.replace("count", "distinct").replace("(type", "(size where type"), "own")
    make_rule(client, ORDERS, "orders")
    ids = hits(client, 40)
    ids.append(post_event(client, type="else"))
    held = claim(ids, clock.tick(1))
    whole = judged(held)
    parted = shares.part(held, whole, Memory())
    assert len(parted) == shares.LANES
    claimed = [one.event_id for share in parted.values() for one in share.held]
    assert sorted(claimed) == sorted(ids)
    users: dict[object, int] = {}
    for lane, share in parted.items():
        part = share.judgement
        assert [one.id for one in part.judged] == [one.event_id for one in share.held]
        assert [one.id for one in part.judged] == sorted(one.id for one in part.judged)
        assert {one.about for one in part.found} <= {one.id for one in part.judged}
        for event, _, _ in part.concerns:
            assert users.setdefault(event.body.get("user"), lane) == lane
    assert sum(len(share.judgement.concerns) for share in parted.values()) == len(whole.concerns)
    assert sum(len(share.judgement.found) for share in parted.values()) == len(whole.found) == 8


@pytest.mark.parametrize("others", [HOSTS, f'{HITS} unless open("hits")'])
def test_nothing_is_parted_where_keys_cross_or_rules_look_at_others(
    client: Client, clock: TestClock, others: str
) -> None:
    make_rule(client, HITS, "hits")
    make_rule(client, others, "others")
    held = claim(hits(client, 30), clock.tick(1))
    assert list(shares.part(held, judged(held), Memory())) == [shares.WHOLE]


def test_what_was_left_and_what_is_gone_goes_with_the_first_share(
    client: Client, clock: TestClock
) -> None:
    make_rule(client, HITS, "hits")
    ids = hits(client, 30)
    held = claim(ids, clock.tick(1))
    whole = judged(held)
    whole.left, whole.judged = whole.judged[-5:], whole.judged[:-5]
    whole.concerns = [one for one in whole.concerns if one.event not in whole.left]
    gone = Claim(UUID(int=1), 1)
    first, *others = shares.part([gone, *held], whole, Memory()).values()
    assert others
    assert gone in first.held
    assert {one.id for one in whole.left} <= {one.event_id for one in first.held}
    assert not any(share.judgement.left for share in others)


def test_who_finds_a_lane_taken_decides_on_the_other_meanwhile(
    app: Flask, client: Client, clock: TestClock
) -> None:
    make_rule(client, HITS, "hits")
    ids = hits(client, 40)
    held = claim(ids, clock.tick(1))
    parted = shares.part(held, judged(held), Memory())
    order = [shares.take(session(), parted)]

    def other() -> None:
        order.append(shares.take(session(), parted))
        record(parted[order[1]], clock)

    at_once(app, other)
    assert order == sorted(parted)
    record(parted[order[0]], clock)
    assert all(decisions.of_event(session(), key) for key in ids)
