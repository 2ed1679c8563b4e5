"""Each neighbour has a page, and what stands on the pages is so."""

import ast
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from app.channels import registry as channels
from app.channels.base import ChannelConfig
from app.cli.__main__ import sentinel
from app.hooks import examples
from app.hooks import registry as hooks
from rules_dsl import read_rules_file
from tests.pages import NAMES, ROOT, calls, fences, page

INDEX = (ROOT / "docs" / "integrations.md").read_text(encoding="utf-8")
COMMANDS = [(name, words) for name in NAMES for words in calls(page(name), "./sentinel")]


def sections() -> dict[str, str]:
    """The parts of the index, by what a link calls them."""
    parts = re.split(r"^## ", INDEX, flags=re.MULTILINE)[1:]
    return {part.partition("\n")[0].lower().replace(" ", "-"): part for part in parts}


@pytest.mark.parametrize("kind", channels.kinds())
def test_every_kind_of_channel_and_each_of_its_settings_is_documented(kind: str) -> None:
    channel, common = channels.get(kind), ChannelConfig().fields
    overview = (ROOT / "docs" / "channels.md").read_text(encoding="utf-8")
    assert f"[`{kind}`](integrations/{kind}.md)" in overview
    for name in channel.config_schema.fields:
        assert f"| `{name}` |" in (overview if name in common else page(kind))
    assert channel.rate_limit == "off" or f"`{channel.rate_limit}`" in page(kind)


@pytest.mark.parametrize("name", hooks.names())
def test_every_source_of_webhooks_is_documented(name: str) -> None:
    overview = (ROOT / "docs" / "hooks.md").read_text(encoding="utf-8")
    assert f"[`{name}`](integrations/{name}.md)" in overview
    assert f"https://<sentinel>/hooks/{name}" in page(name)


@pytest.mark.parametrize("name", NAMES)
def test_each_page_says_how_to_set_it_up_what_its_limits_are_and_where_its_proofs_are(
    name: str,
) -> None:
    text = page(name)
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert (headings[0], headings[-1]) == ("Set it up", "Limits")
    proofs = text.rstrip().rpartition("\n\n")[2]
    assert proofs.startswith(("[What was tried, and by which test]", "What was tried, and by"))
    for section in re.findall(r"\(\.\./integrations\.md#([a-z-]+)\)", proofs):
        assert f"](integrations/{name}.md)" in sections()[section]


def test_the_steps_on_a_page_are_numbered_in_their_order() -> None:
    for name in NAMES:
        steps = page(name).partition("## Set it up\n")[2].partition("\n## ")[0]
        numbers = [int(number) for number in re.findall(r"^(\d+)\. ", steps, re.MULTILINE)]
        assert numbers == list(range(1, len(numbers) + 1)) != [], name


def test_each_neighbour_in_the_table_leads_to_its_page() -> None:
    rows = re.findall(r"^\| (?!neighbour)([^-|][^|]*) \|", INDEX, re.MULTILINE)
    assert [row for row in rows if not row.startswith("[")] == []
    assert {name for row in rows for name in re.findall(r"integrations/([a-z-]+)", row)} == set(
        NAMES
    )


@pytest.mark.parametrize("name", [name for name in NAMES if fences(page(name), "rules")])
def test_each_rule_on_a_page_is_written_in_the_one_way(name: str) -> None:
    for text in fences(page(name), "rules"):
        assert "\n\n".join(each.format().strip() for each in read_rules_file(text)) == text


def test_all_that_looks_like_json_is_json() -> None:
    for name in NAMES:
        for text in fences(page(name), "json"):
            json.loads(text)


@pytest.mark.parametrize(
    ("name", "tool", "more"),
    [
        ("prometheus", "promtool check config", ""),
        ("flower", "promtool check config", ""),
        ("alertmanager", "amtool check-config", "\nroute: {receiver: sentinel}"),
    ],
)
def test_a_configuration_on_a_page_is_one_that_its_program_takes(
    tmp_path: Path, name: str, tool: str, more: str
) -> None:
    if not shutil.which(tool.split()[0]) and not os.environ.get("CI"):
        pytest.skip("needs Prometheus: apt-get install prometheus prometheus-alertmanager")
    file = tmp_path / "config.yml"
    [text] = fences(page(name), "yaml")
    file.write_text(text.replace("<sentinel>", "sentinel.example.com") + more, encoding="utf-8")
    done = subprocess.run([*tool.split(), file], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("name", "words"), COMMANDS)
def test_each_command_on_a_page_is_one_that_there_is(name: str, words: list[str]) -> None:
    assert words[0] != "trigger" or words[1] in examples.types()
    command: click.Command = sentinel
    while isinstance(command, click.Group):
        with click.Context(command) as context:
            _, found, words = command.resolve_command(context, words)
        assert found is not None
        command = found
    command.make_context(name, words)


def test_the_page_on_flower_names_each_task_and_no_other() -> None:
    made = {
        keyword.value.value
        for file in (ROOT / "tasks").glob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "shared_task"
        for keyword in node.keywords
        if keyword.arg == "name" and isinstance(keyword.value, ast.Constant)
    }
    assert set(re.findall(r"^\| `([a-z_.]+)` \|", page("flower"), re.MULTILINE)) == made
