"""`./sentinel completion`: commands, options and names completed by the shell."""

import click


@click.command()
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print a script that completes commands and names.

    For bash: eval "$(./sentinel completion bash)"; for zsh likewise; for fish: ./sentinel completion fish | source.
    """
    from app.cli.local.shells import script

    click.echo(script(ctx.find_root().command, shell), nl=False)
