"""The commands: what they are called, what they take, and which exit status they end with.

0: done. 1: done, but some files could not be handled. 2: it could not start, or the call was wrong. 130: stopped.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Annotated

# One thread a process: workers are many, and threads of the matrix library would only fight over the cores.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import typer  # noqa: E402

from nomarr import __version__  # noqa: E402
from nomarr.errors import NomarrError  # noqa: E402

log = logging.getLogger(__name__)

app = typer.Typer(
    name="nomarr",
    help="Listens to your music and writes what it hears into the files, as scores and mood words.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
models_app = typer.Typer(help="The models that listen: list, fetch, verify.", no_args_is_help=True)
app.add_typer(models_app, name="models")
key_app = typer.Typer(help="The API key for programs.", no_args_is_help=True)
app.add_typer(key_app, name="key")
password_app = typer.Typer(help="The password for people.", no_args_is_help=True)
app.add_typer(password_app, name="password")
db_app = typer.Typer(help="The database as a whole.", no_args_is_help=True)
app.add_typer(db_app, name="db")

Paths = Annotated[list[Path], typer.Argument(help="Music files or folders.", show_default=False)]
Workers = Annotated[
    int | None, typer.Option("--workers", "-j", min=1, max=256, help="Processes; by default one a core.")
]


def main() -> None:
    """The `nomarr` command; turns our errors into one sentence and exit status 2."""
    try:
        app()
    except NomarrError as error:
        print(f"nomarr: {error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nomarr {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    context: typer.Context,
    _show_version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more about what happens.")] = False,
) -> None:
    from nomarr.logs import set_up
    from nomarr.settings import load_settings, unknown_names

    stays = context.invoked_subcommand in ("serve", "worker")
    settings = load_settings()
    set_up(settings, settings.log_level or ("info" if stays or verbose else "warning"), is_kept=stays)
    for name in unknown_names():
        log.warning("the environment variable %s is not known; is it misspelt?", name)


@app.command()
def tag(
    paths: Paths,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Show what would change; touch no file.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Listen again to files that are done.")] = False,
    workers: Workers = None,
) -> None:
    """Scan, analyse and tag music. Safe to stop at any time and to run again."""
    from nomarr.cli.tag import run_tag

    raise typer.Exit(run_tag(paths, dry_run=dry_run, force=force, workers=workers))


@app.command()
def analyze(
    files: Annotated[list[Path], typer.Argument(help="Audio files.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Listen to files and show what is heard. Writes nothing, needs no database."""
    from nomarr.cli.look import run_analyze

    raise typer.Exit(run_analyze(files, as_json=as_json))


@app.command()
def scan(
    paths: Annotated[list[Path] | None, typer.Argument(help="Folders; by default every library.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Have everything listened to again.")] = False,
) -> None:
    """Bring libraries up to date with their folders, without listening yet."""
    from nomarr.cli.tag import run_scan

    raise typer.Exit(run_scan(paths or [], force=force))


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False) -> None:
    """Show libraries, queue, workers and files with problems."""
    from nomarr.cli.look import run_status

    raise typer.Exit(run_status(as_json=as_json))


@app.command()
def explain(
    file: Annotated[Path, typer.Argument(help="A music file that was analysed.", show_default=False)],
    mood: Annotated[str | None, typer.Option("--mood", "-m", help="Only this mood.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
) -> None:
    """Show why a file has its moods: every number that takes part, and the rule in words."""
    from nomarr.cli.explain import run_explain

    raise typer.Exit(run_explain(file, mood=mood, as_json=as_json))


@app.command()
def calibrate(
    apply: Annotated[bool, typer.Option("--apply", help="Have files written again whose tags change.")] = False,
    library: Annotated[str | None, typer.Option(help="Count this library, and for it alone.")] = None,
) -> None:
    """Adapt scores and moods to your music, from what was heard already. Reads no audio."""
    from nomarr.cli.calibrate import run_calibrate

    raise typer.Exit(run_calibrate(apply=apply, library=library))


@app.command()
def untag(paths: Paths) -> None:
    """Take every tag of Nomarr's out of files again. Nothing else in them changes."""
    from nomarr.cli.tag import run_untag

    raise typer.Exit(run_untag(paths))


@app.command()
def undo(
    paths: Annotated[list[Path] | None, typer.Argument(help="Music files or folders.", show_default=False)] = None,
    last: Annotated[bool, typer.Option("--last", help="The newest batch.")] = False,
    batch: Annotated[str | None, typer.Option(help="One batch, by its name.", show_default=False)] = None,
    force: Annotated[bool, typer.Option("--force", help="Also where other programs changed the file since.")] = False,
) -> None:
    """Give files back the tags they had before Nomarr wrote. Nothing else in them changes."""
    from nomarr.cli.undo import run_undo

    raise typer.Exit(run_undo(paths or [], last=last, batch=batch, force=force))


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.", show_default="8356")] = None,
    workers: Annotated[int | None, typer.Option("--workers", "-j", min=0, max=256, help="Processes.")] = None,
) -> None:
    """Run the server and its workers."""
    from nomarr.cli.serve import run_serve

    raise typer.Exit(run_serve(host=host, port=port, workers=workers))


@app.command()
def worker(
    workers: Workers = None,
    order: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Run workers alone, for a server on the same database."""
    from nomarr.cli.serve import run_worker, run_workers

    raise typer.Exit(run_worker(order) if order is not None else run_workers(workers))


@models_app.command("list")
def models_list() -> None:
    """Show what is installed, what could be, and what had to be left out."""
    from nomarr.cli.models import run_list

    raise typer.Exit(run_list())


@models_app.command("pull")
def models_pull(
    names: Annotated[list[str] | None, typer.Argument(help="Packs; by default the default ones.")] = None,
) -> None:
    """Fetch model packs, anew if they are there."""
    from nomarr.cli.models import run_pull

    raise typer.Exit(run_pull(names or []))


@models_app.command("verify")
def models_verify() -> None:
    """Check the installed packs against the hashes noted at installation."""
    from nomarr.cli.models import run_verify

    raise typer.Exit(run_verify())


@key_app.command("show")
def key_show() -> None:
    """Print the API key of this installation; the first time one is made."""
    from nomarr.cli.secrets import run_key

    raise typer.Exit(run_key(generate=False))


@key_app.command("generate")
def key_generate() -> None:
    """Make another API key; the old one opens nothing any more."""
    from nomarr.cli.secrets import run_key

    raise typer.Exit(run_key(generate=True))


@password_app.command("reset")
def password_reset(
    stdin: Annotated[bool, typer.Option("--stdin", help="Read it from the first line of stdin.")] = False,
) -> None:
    """Set another password, by default a generated one, and end all sessions."""
    from nomarr.cli.secrets import run_password_reset

    raise typer.Exit(run_password_reset(from_stdin=stdin))


@app.command()
def backup(
    to: Annotated[Path | None, typer.Option("--to", help="Folder; by default that of the settings.")] = None,
    without_patches: Annotated[
        bool, typer.Option("--without-patches", help="Leave out the largest part, which only new models need.")
    ] = False,
) -> None:
    """Back up the database, while it is in use if need be. SQLite only."""
    from nomarr.cli.data import run_backup

    raise typer.Exit(run_backup(to, with_patches=not without_patches))


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="The backup, nomarr-<time>.db.", show_default=False)],
    force: Annotated[bool, typer.Option("--force", help="Even if something seems to use the database.")] = False,
) -> None:
    """Put a backup in the place of the database, and that aside."""
    from nomarr.cli.data import run_restore

    raise typer.Exit(run_restore(file, force=force))


@app.command("export")
def export_(
    file: Annotated[str, typer.Argument(help="File to write, - for stdout.", show_default=False)],
    embeddings: Annotated[bool, typer.Option("--embeddings", help="With embeddings, for models to come.")] = False,
) -> None:
    """Write all results as JSON Lines: scores, corrections, calibrations."""
    from nomarr.cli.data import run_export

    raise typer.Exit(run_export(file, with_embeddings=embeddings))


@app.command("import")
def import_(
    file: Annotated[str, typer.Argument(help="File to read, - for stdin.", show_default=False)],
) -> None:
    """Take over results of `nomarr export` for files that were scanned here. Listens to nothing."""
    from nomarr.cli.data import run_import

    raise typer.Exit(run_import(file))


@db_app.command("copy")
def db_copy(
    to: Annotated[str, typer.Option("--to", help="URL of an empty database.", show_default=False)],
    source: Annotated[str | None, typer.Option("--from", help="URL; by default that of the settings.")] = None,
    without_patches: Annotated[
        bool, typer.Option("--without-patches", help="Leave out the largest part, which only new models need.")
    ] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Begin a copy anew that was begun before.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Even while a server or worker uses the source.")] = False,
) -> None:
    """Copy everything into another database, from SQLite to PostgreSQL or back. Can be stopped and run again."""
    from nomarr.cli.data import run_copy

    raise typer.Exit(run_copy(to, source, with_patches=not without_patches, restart=restart, force=force))
