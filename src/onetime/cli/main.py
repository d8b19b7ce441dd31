"""`onetime`: the command and its groups."""

from __future__ import annotations

from typing import NoReturn

import click

from onetime import __version__
from onetime.cli import admin, secret, serve
from onetime.cli.terminal import run
from onetime.cli.words import _


class InOrder(click.Group):
    """Its commands are listed as they were added: what most people want comes first."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(self.commands)


@click.group(cls=InOrder, help=_("Share a secret once."))
@click.version_option(__version__, prog_name="onetime", message="%(prog)s %(version)s")
def cli() -> None:
    pass


for verb in (secret.share, secret.generate, secret.reveal, secret.status, secret.burn):
    cli.add_command(verb)
cli.add_command(serve.serve)
cli.add_command(admin.admin)


def main() -> NoReturn:
    run(cli)
