"""The checks that a change must pass, in one command."""

import click

CHECKS = (
    ("ruff", "check", ".", "sentinel"),
    ("ruff", "format", "--check", ".", "sentinel"),
    ("mypy", ".", "sentinel"),
    ("lint-imports",),
)
# Each has servers of its own, and a machine with many cores need not have as much memory.
MOST_PROCESSES = 4


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("pytest_args", nargs=-1, type=click.UNPROCESSED)
def test(pytest_args: tuple[str, ...]) -> None:
    """Lint, types, import contracts, then the tests; with arguments, pytest alone."""
    failed = [] if pytest_args else [check for check in CHECKS if not _passes(*check)]
    # Six thousand lines of passed tests would hide it.
    if failed:
        raise click.ClickException(f"failed: {'; '.join(' '.join(check) for check in failed)}")
    raise SystemExit(0 if _passes("pytest", *(pytest_args or _all())) else 1)


def _all() -> tuple[str, ...]:
    """All tests, in one process more than there are cores, since most of them wait; those of one file share servers."""
    import os

    processes = min((os.cpu_count() or 1) + 1, MOST_PROCESSES)
    return ("-v", "--numprocesses", str(processes), "--dist", "loadfile")


def _passes(tool: str, *words: str) -> bool:
    """Whether a tool of the virtual environment is content with the checkout."""
    import subprocess
    import sys
    from pathlib import Path

    from app.cli.local.home import CHECKOUT

    click.echo(f"$ {' '.join((tool, *words))}")
    sys.stdout.flush()
    command = [str(Path(sys.executable).with_name(tool)), *words]
    return subprocess.run(command, cwd=CHECKOUT, check=False).returncode == 0  # noqa: S603 - CHECKS
