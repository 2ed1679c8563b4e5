"""Every example that `./sentinel trigger` lists, sent to a running Sentinel: a rule on it fires and somebody hears."""

import json
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result

from app.cli.__main__ import sentinel
from app.hooks import registry
from tests.acceptance.stack import Stack

pytestmark = pytest.mark.acceptance
SECRETS = ",".join(f"{name}=hush" for name in registry.names())


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(env={"SENTINEL_HOOK_SECRETS": SECRETS}) as running:
        yield running


def run(stack: Stack, *words: str, secrets: str = "") -> Result:
    env = {"SENTINEL_URL": stack.api_url, "SENTINEL_HOOK_SECRETS": secrets}
    return CliRunner().invoke(sentinel, words, env=env)


def test_a_rule_fires_on_each_example_signed_or_not(stack: Stack) -> None:
    config = {"url": f"{stack.receiver.url}/"}
    assert stack.post("/channels", {"name": "all", "kind": "webhook", "config": config}).ok
    types = [one["type"] for one in json.loads(run(stack, "trigger", "--list", "--json").stdout)]
    ids: dict[str, list[str]] = {}
    for type_ in types:
        dsl = f'when type == "{type_}" then notify("webhook:all")'
        assert stack.post("/rules", {"name": type_, "dsl": dsl}).status_code == 201
        for secrets in ("", SECRETS):
            done = run(stack, "trigger", type_, "--json", secrets=secrets)
            assert done.exit_code == 0, done.output
            ids.setdefault(type_, []).extend(json.loads(done.stdout)["ids"])
    sent = {(type_, one) for type_, found in ids.items() for one in found}
    assert len(sent) >= 2 * len(types)
    stack.receiver.wait_for(len(sent))
    heard = [one.json["data"] for one in stack.receiver.heard]
    assert {(one["event"]["type"], one["event"]["id"]) for one in heard} == sent
    assert all(one["rule"]["name"] == one["event"]["type"] for one in heard)
