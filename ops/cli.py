"""`ytops`: the front door. It reads the command line and hands over; the verbs are in ops/verbs/.

Verbs are imported when they are called, so that `status` does not wait for what `up` needs.
"""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core

from ops.errors import OpsError
from ops.stackfile import find_root, stacks
from ops.verbs._exit import FAILED, INTERRUPTED, TABLE, code_of
from ops.verbs._paper import complain
from ops.verbs._place import Place
from ops.verbs.logs import Part


class Verbs(typer.core.TyperGroup):
    """Turns every error into one message and its exit code; nobody sees a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except OpsError as error:
            complain(str(error))
            sys.exit(code_of(error))
        except KeyboardInterrupt:
            complain("Interrupted.")
            sys.exit(INTERRUPTED)
        except (typer.Exit, typer.Abort):
            raise
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # `| head` has enough
            sys.exit(FAILED)
        except Exception as error:
            if hasattr(error, "exit_code"):
                raise  # wrong usage, which typer words
            complain(unexpected(error))
            sys.exit(FAILED)


def unexpected(error: Exception) -> str:
    """One line; the trace goes to a file."""
    with tempfile.NamedTemporaryFile("w", prefix="ytops-", suffix=".log", delete=False) as file:
        file.write("".join(traceback.format_exception(error)))
    words = " ".join(str(error).split())
    return (
        f"Unexpected {type(error).__name__}: {words} (a mistake in ytops; "
        f"the whole trace is in {file.name})"
    )


app = typer.Typer(
    cls=Verbs,
    name="ytops",
    help="Operate YTEMPIRE: deploy, roll back, look. It wraps `pulumi up`; nothing else deploys.",
    epilog=TABLE,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _stacks() -> list[str]:
    try:
        return stacks(find_root(Path.cwd()))
    except OpsError:
        return []


Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask (protected stacks do).")]
Why = Annotated[str, typer.Option("--why", help="The reason, for the history and the others.")]
Json = Annotated[bool, typer.Option("--json", help="For programs.")]


@app.callback()
def everywhere(
    ctx: typer.Context,
    stack: Annotated[
        str,
        typer.Option(
            help="Default: $YTOPS_STACK, else the selected Pulumi stack, else sandbox.",
            autocompletion=_stacks,
        ),
    ] = "",
    cwd: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    if not ctx.resilient_parsing:
        ctx.obj = lambda: Place.find(stack, cwd)


def _place(ctx: typer.Context) -> Place:
    place: Place = ctx.obj()
    return place


@app.command()
def up(
    ctx: typer.Context,
    version: Annotated[
        str, typer.Argument(help="The release; else what the stack file names.")
    ] = "",
    yes: Yes = False,
    why: Why = "",
    preview_only: Annotated[
        bool, typer.Option("--preview-only", help="Show the plan and stop.")
    ] = False,
) -> None:
    """Deploy VERSION, or else what the stack file names. It converges from any state that a fault
    has left."""
    from ops.verbs import up as verb

    if preview_only:
        verb.preview(_place(ctx), version)
    else:
        verb.up(_place(ctx), version, yes=yes, why=why)


@app.command()
def preview(
    ctx: typer.Context,
    version: Annotated[
        str, typer.Argument(help="The release; else what the stack file names.")
    ] = "",
) -> None:
    """Show what `up` would do; nothing is changed."""
    from ops.verbs import up as verb

    verb.preview(_place(ctx), version)


@app.command()
def rollback(
    ctx: typer.Context,
    version: Annotated[str, typer.Argument(help="Default: the other slot's release.")] = "",
    yes: Yes = False,
    why: Why = "",
) -> None:
    """Move traffic back to the release that stands ready. It takes seconds."""
    from ops.verbs import rollback as verb

    verb.rollback(_place(ctx), version, yes=yes, why=why)


@app.command()
def status(ctx: typer.Context, json: Json = False) -> None:
    """What serves, what stands ready, what is wrong. Exit code 0: serving and healthy."""
    from ops.verbs import status as verb

    raise typer.Exit(verb.status(_place(ctx), as_json=json))


@app.command()
def verify(
    ctx: typer.Context,
    contract: Annotated[
        bool,
        typer.Option("--contract", help="Whether the live release keeps to the backend contract."),
    ] = False,
    json: Json = False,
) -> None:
    """The manual's post-deployment check, on the live release."""
    from ops.verbs import verify as verb

    ask = verb.verify_contract if contract else verb.verify
    raise typer.Exit(ask(_place(ctx), as_json=json))


@app.command()
def releases(ctx: typer.Context, json: Json = False) -> None:
    """What has served, what was withdrawn, what can serve at once."""
    from ops.verbs import releases as verb

    verb.releases(_place(ctx), as_json=json)


@app.command()
def logs(
    ctx: typer.Context,
    part: Annotated[Part, typer.Argument(help="Of app, worker and beat: the live release's.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as they come.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of the last.")] = 100,
) -> None:
    """What a part's containers say."""
    from ops.verbs import logs as verb

    verb.logs(_place(ctx), part, follow=follow, lines=lines)


@app.command()
def lock(ctx: typer.Context, why: Why = "") -> None:
    """Hold all deploys, saying why; without --why: who holds them."""
    from ops.verbs import lock as verb

    verb.lock(_place(ctx), why)


@app.command()
def unlock(ctx: typer.Context) -> None:
    """Let deploys go on; clears Pulumi's lock when its owner is dead."""
    from ops.verbs import lock as verb

    verb.unlock(_place(ctx))


def main() -> None:
    """The console script."""
    app(prog_name="ytops")


if __name__ == "__main__":
    main()
