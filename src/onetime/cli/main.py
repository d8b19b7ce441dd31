"""`onetime`: the command and its groups."""

from __future__ import annotations

import click

from onetime import __version__
from onetime.cli import admin, serve
from onetime.cli.terminal import fail
from onetime.errors import OnetimeError


@click.group()
@click.version_option(__version__, prog_name="onetime")
def cli() -> None:
    """Share a secret once."""


cli.add_command(serve.serve)
cli.add_command(admin.admin)


def main() -> None:
    try:
        cli()
    except OnetimeError as error:
        fail(error)
