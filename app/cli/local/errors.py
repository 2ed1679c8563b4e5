"""What stops `up`, said in one line; raised where it happens, shown by the command."""

import click


class LocalError(click.ClickException):
    """Something on this machine that the user has to mend first; exit code 1."""

    def show(self, file: object = None) -> None:
        click.echo(f"sentinel: {self.message}", err=True)


class Stopped(Exception):
    """Somebody asked for the end: Ctrl-C, SIGTERM or SIGHUP."""
