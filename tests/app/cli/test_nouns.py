"""The group of all commands."""

import subprocess
import sys

from click.testing import CliRunner

from app.cli.__main__ import HERE, sentinel
from app.cli.local.home import CHECKOUT


def test_every_noun_has_a_line_of_help_and_a_command() -> None:
    nouns = [file.stem for file in HERE.glob("[a-z]*.py")]
    said = CliRunner().invoke(sentinel, ["--help"]).output
    for noun in nouns:
        assert any(
            line.split()[:1] == [noun] and len(line.split()) > 1 for line in said.splitlines()
        )
        assert sentinel.get_command(None, noun).name == noun  # type: ignore[arg-type, union-attr]


def test_help_does_not_load_the_application() -> None:
    code = (
        "import sys\n"
        "from app.cli.__main__ import sentinel\n"
        "sentinel(['--help'], standalone_mode=False)\n"
        "sys.exit(str({'flask', 'celery', 'sqlalchemy', 'rich'} & sys.modules.keys() or ''))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True
    )
    assert done.stderr.strip() == ""


def test_an_unknown_noun_is_a_usage_error() -> None:
    assert CliRunner().invoke(sentinel, ["nonsense"]).exit_code == 2
