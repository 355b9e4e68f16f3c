"""The ``rendio`` command. Each verb lives in a module of this package, loaded when it is called."""

from importlib import import_module

import click

from rendio import __version__
from rendio.cli.common import Failure

# verb -> (module, attribute); the module is imported only when the verb runs or its help is asked.
VERBS = {
    "apply": ("rendio.cli.migrate", "apply"),
    "plan": ("rendio.cli.migrate", "plan"),
    "status": ("rendio.cli.migrate", "status"),
    "drift": ("rendio.cli.migrate", "drift"),
    "verify": ("rendio.cli.migrate", "verify"),
    "serve": ("rendio.cli.serve", "serve"),
    "demo": ("rendio.cli.demo", "demo"),
    "psql": ("rendio.cli.embedded", "psql"),
    "embedded": ("rendio.cli.embedded", "embedded"),
    "gen": ("rendio.cli.gen", "gen"),
}


class LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module, attribute = VERBS[cmd_name]
        try:
            command: click.Command = getattr(import_module(module), attribute)
        except ImportError as error:
            if "libpq" not in str(error):
                raise
            raise Failure(
                "psycopg finds no libpq on this machine: pip install 'rendio[binary]'"
            ) from error
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rendio")
def main() -> None:
    """Credits, generation jobs and purchases as SQL in your own Postgres."""
