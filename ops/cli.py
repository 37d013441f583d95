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
from ops.verbs._backup_kind import BackupKind, Kept
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
    markdown: Annotated[
        bool,
        typer.Option(
            "--markdown",
            help="For a pull request: with the migrations' SQL, the checklist, the policies, the "
            "time that it takes.",
        ),
    ] = False,
) -> None:
    """Show what `up` would do; nothing is changed."""
    from ops.verbs import preview as told
    from ops.verbs import up as verb

    if markdown:
        raise typer.Exit(told.markdown(_place(ctx), version))
    verb.preview(_place(ctx), version)


@app.command()
def rehearse(
    ctx: typer.Context,
    version: Annotated[str, typer.Argument(help="The release to try.")],
    fresh: Annotated[
        bool, typer.Option("--fresh", help="On a dump taken now, not on the newest backup.")
    ] = False,
    json: Json = False,
) -> None:
    """Run VERSION's migrations on a copy of the data, and the live release after them."""
    from ops.verbs import rehearse as verb

    raise typer.Exit(verb.rehearse(_place(ctx), version, fresh=fresh, as_json=json))


@app.command()
def drill(
    ctx: typer.Context,
    host: Annotated[
        str, typer.Option(help="Another Docker host, ssh://user@host; default: the stack's own.")
    ] = "",
    drive: Annotated[
        str, typer.Option("--from", help="A drive to restore from, instead of the bucket.")
    ] = "",
    keep: Annotated[bool, typer.Option("--keep", help="Leave it standing, to look at it.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Take away what stands.")] = False,
    metrics: Annotated[
        Path | None, typer.Option(help="Write Prometheus metrics there, NAME.prom.")
    ] = None,
) -> None:
    """Try the recovery: the newest backup, in a stack of its own beside everything. Exit code 0:
    recovered, within the manual's times."""
    from ops.verbs import drill as verb

    if remove:
        raise typer.Exit(verb.remove(_place(ctx), host))
    raise typer.Exit(
        verb.drill(_place(ctx), host=host, drive=drive, keep=keep, metrics_file=metrics)
    )


@app.command()
def evidence(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Where it is kept; not on the host itself.")],
) -> None:
    """Keep what a breached stack is, encrypted and with checksums, before anything is stopped."""
    from ops.verbs import evidence as verb

    raise typer.Exit(verb.evidence(_place(ctx), folder))


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


@app.command()
def checklist(
    ctx: typer.Context,
    version: Annotated[str, typer.Argument(help="The release that shall go out.")],
    preview: Annotated[
        bool,
        typer.Option("--preview", help="As in a pull request: the night's items stop nothing."),
    ] = False,
    backups: Annotated[
        Path | None,
        typer.Option(
            help="Folder with a copy of the backups: SERIES/STAMP/manifest.json and its files."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """The manual's checklist before a deploy, with evidence. Exit code 0: nothing stops it."""
    from ops.verbs import checklist as verb

    raise typer.Exit(
        verb.checklist(
            _place(ctx),
            version,
            phase="preview" if preview else "up",
            backups=backups,
            as_json=json,
        )
    )


@app.command()
def announce(
    ctx: typer.Context,
    version: Annotated[str, typer.Argument(help="The release that is recorded.")],
    to: Annotated[str, typer.Option(help="team or users.")] = "team",
    at: Annotated[str, typer.Option(help="When it begins; default: the next window.")] = "",
    text: Annotated[str, typer.Option(help="In your words; default: what and when.")] = "",
) -> None:
    """Tell the chat that VERSION goes out, and record that it was told."""
    from ops.verbs import announce as verb

    verb.announce(_place(ctx), version, to, at=at, text=text)


backup_app = typer.Typer(cls=Verbs, help="Backups, encrypted.", no_args_is_help=True)
app.add_typer(backup_app, name="backup")


@backup_app.command("run")
def backup_run(
    ctx: typer.Context,
    kind: Annotated[
        BackupKind,
        typer.Argument(help="base: the server's files; wal: its log; files: media, application."),
    ] = BackupKind.DATABASE,
    full: Annotated[
        bool,
        typer.Option("--full", help="As the day's full: the week's or month's, where one is due."),
    ] = False,
    now: Annotated[
        bool, typer.Option("--now", help="Of the log also what was written just now.")
    ] = False,
) -> None:
    """Back up to the drives and the bucket, encrypted. Exit code 0: each has it."""
    from ops.verbs import backup as verb

    raise typer.Exit(verb.run_kind(_place(ctx), kind, full=full, now=now))


@backup_app.command("list")
def backup_list(ctx: typer.Context, json: Json = False) -> None:
    """What is kept where, and what was proved of it."""
    from ops.verbs import backup as verb

    raise typer.Exit(verb.listed(_place(ctx), as_json=json))


@backup_app.command("verify")
def backup_verify(ctx: typer.Context) -> None:
    """Check every copy, and restore or open the newest of each series beside everything."""
    from ops.verbs import backup as verb

    raise typer.Exit(verb.verify(_place(ctx)))


@backup_app.command("prune")
def backup_prune(
    ctx: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go.")] = False,
) -> None:
    """Let go what the manuals' retention no longer asks for, and never the last that is good."""
    from ops.verbs import backup as verb

    raise typer.Exit(verb.prune(_place(ctx), dry_run=dry_run))


@backup_app.command("status")
def backup_status(ctx: typer.Context, json: Json = False) -> None:
    """How old the newest verified and the newest restored are. Exit code 0: all is well."""
    from ops.verbs import backup as verb

    raise typer.Exit(verb.status(_place(ctx), as_json=json))


@backup_app.command("key")
def backup_key(ctx: typer.Context) -> None:
    """Make a key for the backups; it is shown once and kept nowhere."""
    from ops.verbs import backup as verb

    raise typer.Exit(verb.key(_place(ctx)))


@app.command()
def restore(
    ctx: typer.Context,
    point: Annotated[
        str,
        typer.Argument(
            help="A stamp, or `newest`; without one: which there are. Not of the database: files, "
            "application, config or secrets before it."
        ),
    ] = "",
    words: Annotated[
        list[str] | None, typer.Argument(help="Of files: their point, then PATHs for only these.")
    ] = None,
    from_place: Annotated[
        str,
        typer.Option("--from", help="The drive or `bucket`; default: a drive, else the bucket."),
    ] = "",
    table: Annotated[
        str,
        typer.Option(help="Only these, comma between them, beside the live ones: NAME[,NAME]."),
    ] = "",
    at: Annotated[
        str,
        typer.Option("--at", help="To a moment, with its zone: 2027-01-01T10:00:00Z."),
    ] = "",
    to: Annotated[
        Path | None,
        typer.Option(help="A new folder here; of secrets, a file. Without it, files: in place."),
    ] = None,
    identity: Annotated[
        Path | None,
        typer.Option(help="Of files and the like: the age key's file, where the stack's is away."),
    ] = None,
    undo: Annotated[
        bool, typer.Option("--undo", help="Bring back the database that was live before.")
    ] = False,
    dismiss: Annotated[
        bool, typer.Option("--dismiss", help="Remove the databases, or files, that were set aside.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Don't ask for the stack's name.")
    ] = False,
    json: Json = False,
) -> None:
    """Bring the database back to a backup; or files, the configuration, the secrets. It is made
    beside what is live and takes its place; what was there is kept until it is dismissed."""
    if point in list(Kept):
        from ops.verbs import _restore_kept as beside

        other = any((table, at, undo, json))
        there = beside.Options(to, from_place, identity, other, dismiss, yes)
        raise typer.Exit(beside.dispatch(_place(ctx), Kept(point), words or [], there))
    from ops.verbs import restore as verb

    options = verb.Options(from_place, table, undo, dismiss, yes=yes, as_json=json, at=at)
    if words or to or identity:
        verb.refuse_words(point, words or [])
    raise typer.Exit(verb.dispatch(_place(ctx), point, options))


secrets_app = typer.Typer(cls=Verbs, help="Credentials.", no_args_is_help=True)
app.add_typer(secrets_app, name="secrets")


@secrets_app.command("list")
def secrets_list(ctx: typer.Context, json: Json = False) -> None:
    """Which there are, who uses each, when it was last rotated. No values."""
    from ops.verbs import secrets as verb

    verb.listed(_place(ctx), as_json=json)


@secrets_app.command("rotate")
def secrets_rotate(
    ctx: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(help="Of `list`; none: end what was cut off.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that are made here.")] = False,
    yes: Yes = False,
) -> None:
    """Give credentials other values, deploy them, and make the old ones worthless. No request
    fails, no job is lost."""
    from ops.verbs import secrets as verb

    verb.rotate(_place(ctx), names or (), everything=everything, yes=yes)


release_app = typer.Typer(cls=Verbs, help="Release records.", no_args_is_help=True)
app.add_typer(release_app, name="release")


@release_app.command("new")
def release_new(
    ctx: typer.Context,
    version: Annotated[str, typer.Argument(help="Its image's tag.")],
    change: Annotated[str, typer.Option(help="Its change request, CR-N.")] = "",
) -> None:
    """Begin releases/VERSION.yaml with what is known: digest, commit, a stub of the notes."""
    from ops.verbs import release as verb

    verb.new(_place(ctx), version, change)


change_app = typer.Typer(cls=Verbs, help="Change requests (manual 5.2).", no_args_is_help=True)
app.add_typer(change_app, name="change")
By = Annotated[str, typer.Option("--by", help="Who; default: git's user.")]
Name = Annotated[str, typer.Argument(help="CR-N.")]


@change_app.command("new")
def change_new(
    ctx: typer.Context,
    release: Annotated[str, typer.Option(help="The version that it deploys.")] = "",
    standard: Annotated[bool, typer.Option("--standard", help="Approved by its kind.")] = False,
    emergency: Annotated[bool, typer.Option("--emergency", help="At once; needs --why.")] = False,
    kind: Annotated[str, typer.Option(help="Of manual 5.2's lists.")] = "",
    description: Annotated[str, typer.Option(help="What is changed, and why.")] = "",
    why: Annotated[str, typer.Option("--why", help="Why an emergency can't wait.")] = "",
    priority: Annotated[str, typer.Option(help="high, medium or low.")] = "medium",
    system: Annotated[list[str] | None, typer.Option(help="Affected; repeat it.")] = None,
    users: Annotated[str, typer.Option(help="none, minimal or significant.")] = "minimal",
    downtime: Annotated[int, typer.Option(min=0, help="Minutes.")] = 0,
    risk: Annotated[str, typer.Option(help="low, medium or high.")] = "low",
    step: Annotated[list[str] | None, typer.Option(help="Of the implementation.")] = None,
    by: By = "",
) -> None:
    """Request a change: the next number, all of the template's fields."""
    from ops.verbs import change as verb

    asked = verb.Request(
        release=release,
        category=verb.category(standard, emergency),
        kind=kind,
        description=description,
        reason=why,
        priority=priority,
        systems=tuple(system or ("backend",)),
        users=users,
        downtime=downtime,
        risk=risk,
        steps=tuple(step or ()),
    )
    verb.new(_place(ctx), asked, by)


@change_app.command("approve")
def change_approve(
    ctx: typer.Context,
    name: Name,
    role: Annotated[
        str,
        typer.Option(help="team-lead, technical-lead, security-review or platform-ops-lead."),
    ] = "team-lead",
    verbal: Annotated[bool, typer.Option("--verbal", help="By word of mouth.")] = False,
    by: By = "",
) -> None:
    """Sign a change. Nobody signs what they asked for."""
    from ops.verbs import change as verb

    verb.approve(_place(ctx), name, role, verbal=verbal, by=by)


@change_app.command("schedule")
def change_schedule(
    ctx: typer.Context,
    name: Name,
    time: Annotated[str, typer.Argument(help="Such as 2025-01-10T22:00-08:00.")],
    by: By = "",
) -> None:
    """Say when it shall be done."""
    from ops.verbs import change as verb

    verb.schedule(_place(ctx), name, time, by)


@change_app.command("done")
def change_done(ctx: typer.Context, name: Name, by: By = "") -> None:
    """Write that it was deployed, and what it passed by. `ytops up` does so by itself."""
    from ops.verbs import change as verb

    verb.done(_place(ctx), name, by)


@change_app.command("list")
def change_list(ctx: typer.Context, json: Json = False) -> None:
    """All changes, the newest first; what emergencies owe; what was rewritten."""
    from ops.verbs import change as verb

    verb.listed(_place(ctx), as_json=json)


@change_app.command("close")
def change_close(
    ctx: typer.Context,
    name: Name,
    note: Annotated[str, typer.Option(help="How it ended.")] = "",
    document: Annotated[
        str,
        typer.Option(help="An emergency's: what happened, why it could not wait, what follows."),
    ] = "",
    by: By = "",
) -> None:
    """End a change. An emergency ends with its documentation."""
    from ops.verbs import change as verb

    verb.close(_place(ctx), name, note, document, by)


def main() -> None:
    """The console script."""
    app(prog_name="ytops")


if __name__ == "__main__":
    main()
