"""The command `scalingsweep`: its group, and the one place where errors become exit statuses.

A subcommand's module is imported when it is called, so that `--help` and shell completion answer at
once: numpy alone takes a fifth of a second, and none of them needs it.
"""

import contextlib
import importlib
import os
import sys
import traceback
from collections.abc import Sequence

import click
from click.shell_completion import CompletionItem

from scalingsweep import errors

COMMANDS = {
    "plan": "Say what a sweep would cost and what it could tell, before anything runs.",
    "run": "Run a sweep on this machine, from text to the report.",
    "results": "Print observations and laws so far; compare studies; export tables.",
    "fit": "Fit a scaling law to any table of N, D and loss.",
    "report": "Make the report again from what is in storage.",
    "export": "Write a trained model for transformers' AutoModelForCausalLM.",
    "completion": "Print the shell's completion script.",
}
"""Every subcommand in the order of a study, and its line in `--help`."""

HELP = """Scaling-law studies of language models, from one manifest to fitted laws.

\b
A study in three steps:
  scalingsweep plan sweep.yaml     FLOPs, hours, tokens; what the grid can identify
  scalingsweep run sweep.yaml      prepare, train, fit, report; Ctrl-C saves
  scalingsweep results sweep.yaml  observations and laws; compares studies

A table that you have already: scalingsweep fit runs.csv

\b
Exit status:
  0    done
  1    a failure that may pass: try again
  2    something must be mended; one line on stderr names it
  3    the data allow no usable fit
  70   a bug of ours, with its traceback
  130  interrupted

Tables are plain text where there is no terminal; NO_COLOR is honoured.
"""


class _Lazy(click.Group):
    """A group that knows its commands by name and imports the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"scalingsweep_cli.commands.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        named = [
            CompletionItem(name, help=line)
            for name, line in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return named + click.Command.shell_complete(self, ctx, incomplete)


group = _Lazy(
    name="scalingsweep",
    help=HELP,
    context_settings={"help_option_names": ["-h", "--help"]},
)
click.version_option(package_name="scalingsweep", prog_name="scalingsweep")(group)


def main(args: Sequence[str] | None = None) -> int:
    """Run the command; its exit status."""
    # several BLAS threads make a fit's small products 5.8 times slower; numpy reads this on import
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a stream that knows no Greek prints ?, and goes on
            stream.reconfigure(errors="replace")
    try:
        status = group.main(args=args, prog_name="scalingsweep", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 0
    except click.UsageError as error:
        return _fail(_usage(error), 2)
    except click.ClickException as error:
        return _fail(error.format_message(), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        return _fail("interrupted", 130)
    except errors.SpecError as error:
        return _fail(str(error), 2)
    except errors.FitError as error:
        return _fail(str(error), 3)
    except errors.TransientError as error:
        return _fail(f"{error}" if "again" in str(error) else f"{error}; try again", 1)
    except OSError as error:
        if not errors.is_full(error):
            return _bug()
        _silence()
        return _fail(str(errors.DiskFull(error.filename or "the output")), 1)
    except Exception:  # noqa: BLE001 - the last resort: whatever it is, it is our bug
        return _bug()
    return status if isinstance(status, int) else 0


def _bug() -> int:
    traceback.print_exc()
    return _fail("a bug of scalingsweep: please report the lines above", 70)


def _silence() -> None:
    """Leave what could not be printed: tried again at the exit, it would change the status."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _usage(error: click.UsageError) -> str:
    where = error.ctx.command_path if error.ctx else "scalingsweep"
    return f"{error.format_message().rstrip('.')}; see {where} --help"


def _fail(message: str, status: int) -> int:
    """Print one line, whatever a file's name or content put into the message."""
    line = " ".join(message.split())
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)
    with contextlib.suppress(OSError):  # stderr may lie on the disk that is full
        click.echo(f"error: {shown}", err=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
