"""`scalingsweep completion`: click's completion script for a shell."""

import click
from click.shell_completion import get_completion_class

_VARIABLE = "_SCALINGSWEEP_COMPLETE"


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script that completes commands, options and files in SHELL.

    \b
    bash:  scalingsweep completion bash > ~/.local/share/bash-completion/completions/scalingsweep
    zsh:   scalingsweep completion zsh > "${fpath[1]}/_scalingsweep"
    fish:  scalingsweep completion fish > ~/.config/fish/completions/scalingsweep.fish

    A new shell then completes. Nothing is written but standard output.
    """  # noqa: D301 - \b is click's mark for lines that are kept
    found = get_completion_class(shell)
    assert found is not None, "a shell of click's own"
    click.echo(found(ctx.find_root().command, {}, "scalingsweep", _VARIABLE).source())
