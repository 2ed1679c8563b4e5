"""The scripts for shells that complete what somebody begins to type.

Click has the completion itself. What it lacks: names with spaces and quotes in bash, and a launcher that is not on the
PATH for zsh and fish.
"""

import os
import re
from typing import Any, ClassVar, Final

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ZshComplete,
    add_completion_class,
)

from app.cli.local.home import CHECKOUT

VARIABLE: Final = "_SENTINEL_COMPLETE"
# What bash takes as more than a letter of a word.
_SPECIAL: Final = re.compile(r"([^\w@%+=:,./-])")
_ESCAPED: Final = r"\\\1"
_QUOTES: Final = ("'", '"')


class Bash(BashComplete):
    """Names as bash reads them: escaped, unless a quote is open."""

    source_template: ClassVar[str] = """\
%(complete_func)s() {
    local IFS=$'\\n' response type value
    response=$(env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD \\
        %(complete_var)s=bash_complete "$1" 2>/dev/null)
    while IFS=',' read -r type value; do
        case $type in
            dir) COMPREPLY=(); compopt -o dirnames ;;
            file) COMPREPLY=(); compopt -o default ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done <<< "$response"
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""

    def format_completion(self, item: CompletionItem[Any]) -> str:
        """One choice for the script above."""
        begun = os.environ["COMP_WORDS"].split("\n")[int(os.environ["COMP_CWORD"])]
        value = str(item.value)
        if not begun.startswith(_QUOTES):
            value = _SPECIAL.sub(_ESCAPED, value)
        return f"{item.type},{value}"


def register() -> None:
    """Have Click ask this `Bash`, and not its own."""
    add_completion_class(Bash)


def script(cli: click.Command, shell: str) -> str:
    """What a shell runs to complete `sentinel`, called by that name or by a path that ends in it."""
    kind = {"bash": Bash, "zsh": ZshComplete, "fish": FishComplete}[shell]
    text = kind(cli, {}, "sentinel", VARIABLE).source()
    launcher = CHECKOUT / "sentinel"
    return (
        text.replace("    (( ! $+commands[sentinel] )) && return 1\n", "")
        .replace("zsh_complete sentinel)", f"zsh_complete '{launcher}' 2>/dev/null)")
        .replace("(commandline -t) sentinel)", f"(commandline -t) '{launcher}' 2>/dev/null)")
    )
