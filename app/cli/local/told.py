"""What all commands that call the API share."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from app.cli.local.errors import LocalError
from app.client import ApiError

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@contextmanager
def told() -> Iterator[None]:
    """Say what was refused, and exit with 1."""
    try:
        yield
    except (ApiError, LocalError) as error:
        click.echo(str(error), err=True)
        sys.exit(1)
