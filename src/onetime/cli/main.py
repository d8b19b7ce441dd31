"""`onetime`: the command and its groups."""

from __future__ import annotations

from typing import NoReturn

import click

from onetime import __version__
from onetime.cli import admin, serve
from onetime.cli.terminal import run


@click.group()
@click.version_option(__version__, prog_name="onetime", message="%(prog)s %(version)s")
def cli() -> None:
    """Share a secret once."""


cli.add_command(serve.serve)
cli.add_command(admin.admin)


def main() -> NoReturn:
    run(cli)
