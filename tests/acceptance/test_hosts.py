"""Many hosts: API and worker processes that share a database, a broker, and nothing else."""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest
import requests

from app.cli.local.process import Spec
from tests.acceptance.hosts import SWITCH, Host, Network, need_namespaces
from tests.acceptance.load import Load
from tests.acceptance.receiver import Receiver
from tests.acceptance.stack import Stack
from tests.acceptance.test_spine import heard_events, settled

pytestmark = pytest.mark.acceptance

SECONDS = 60
# Of a notification worker: so many sends a kill may cut off.
THREADS = 32


@dataclass
class Site:
    """Two hosts with the API, two with workers, and what they share."""

    stack: Stack
    receiver: Receiver
    apis: tuple[Host, Host]
    workers: tuple[Host, Host]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    need_namespaces()
    with Stack(start=()) as stack, Network(stack, {"SENTINEL_AUTH": "off"}) as network:
        receiver = Receiver(SWITCH)
        try:
            yield ready(stack, network, receiver)
        finally:
            receiver.close()


def ready(stack: Stack, network: Network, receiver: Receiver) -> Site:
    """Everything started, and each API knows all workers."""
    stack.env["SENTINEL_EGRESS_ALLOW"] = f"{SWITCH}:{receiver.port}"
    one, two, three, four = (network.host(name) for name in "abcd")
    for host in (one, two):
        host.run(listening_by_itself(stack.spec("api")))
    for host in (three, four):
        for name in ("events", "notifications"):
            host.run(stack.spec(name))
    site = Site(stack, receiver, (one, two), (three, four))
    everywhere(site, lambda url: workers(url) == {"events": 2, "notifications": 2})
    return site


def listening_by_itself(api: Spec) -> Spec:
    """A socket of this host, as `up` hands it on, is none of another."""
    return replace(api, argv=api.argv[: api.argv.index("--bind")])


def workers(url: str) -> Any:
    return requests.get(f"{url}/readyz", timeout=5).json()["components"]["workers"]


def total(url: str, name: str) -> float:
    """The sum of a counter over its labels."""
    text = requests.get(f"{url}/metrics", timeout=5).text
    return sum(float(value) for value in re.findall(rf"^{name}{{.*}} (\S+)$", text, re.MULTILINE))


def everywhere(site: Site, check: Callable[[str], bool]) -> None:
    """Wait until both APIs say so."""
    for host in site.apis:
        site.stack.eventually(partial(check, host.url), SECONDS)


def make_rule(site: Site, type_: str) -> None:
    dsl = f'when type == "{type_}" then notify("webhook:{site.receiver.url}/{type_}")'
    answer = requests.post(f"{site.apis[0].url}/rules", json={"name": type_, "dsl": dsl}, timeout=9)
    assert answer.status_code == 201, answer.text


def test_what_any_host_accepts_any_host_delivers_once_and_every_host_counts_it(site: Site) -> None:
    make_rule(site, "calm")
    one, two = (Load(host.url, "calm", rate=20) for host in site.apis)
    with one, two:
        time.sleep(5)
    site.stack.eventually(lambda: settled(site.stack))
    assert set(one.statuses) == {202}, site.apis[0].logs
    assert set(two.statuses) == {202}, site.apis[1].logs
    accepted = one.accepted | two.accepted
    assert one.accepted
    assert two.accepted
    assert heard_events(site.receiver.heard) == Counter(accepted)
    assert {heard.sender for heard in site.receiver.heard} == {
        host.address for host in site.workers
    }
    everywhere(site, lambda url: total(url, "events_ingested_total") == len(accepted))
    everywhere(site, lambda url: total(url, "notifications_sent_total") == len(accepted))


def test_when_a_host_of_workers_dies_the_other_does_all_the_work(site: Site) -> None:
    make_rule(site, "loss")
    site.receiver.heard.clear()
    dying, staying = site.workers
    one, two = (Load(host.url, "loss", rate=20) for host in site.apis)
    with one, two:
        site.receiver.wait_for(20)
        dying.kill()
        killed = time.time()
        site.receiver.wait_for(len(site.receiver.heard) + 40)
    assert set(one.statuses) == {202}, site.apis[0].logs
    assert set(two.statuses) == {202}, site.apis[1].logs
    site.stack.eventually(lambda: settled(site.stack), SECONDS)
    heard = heard_events(site.receiver.heard)
    assert set(heard) == one.accepted | two.accepted
    repeated = sum(heard.values()) - len(heard)
    print(f"{len(heard)} events, {repeated} repeated, all {time.time() - killed:.0f} s after")
    unknown = "SELECT count(*) FROM attempts WHERE outcome = 'unknown'"
    assert repeated <= site.stack.sql(unknown)[0][0] <= THREADS
    assert {one.sender for one in site.receiver.heard if one.at > killed + 1} == {staying.address}
    everywhere(site, lambda url: workers(url) == {"events": 1, "notifications": 1})
