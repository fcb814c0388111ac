"""`harness store`: its actions, their arguments and what each does. It prints nothing."""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.terminal.console import OK, Add, Show


def add_all(add: Add, show: Show) -> None:
    """Add the command to a command line."""
    about = "join, pack, unpack and clean stores: merge, export, import, gc"
    add_actions(add("store", lambda options: store(options, show), about))


def add_actions(one: argparse.ArgumentParser) -> None:
    """Give `harness store` its four actions."""
    actions = one.add_subparsers(dest="action", metavar="ACTION", required=True)
    for action, about, other in (
        ("merge", "add the steps and checkpoints of another store", "OTHER"),
        ("export", "write a store as one file", "FILE"),
        ("import", "add what a file of `export` holds", "FILE"),
        ("gc", "remove checkpoints that no step refers to, and what unfinished fits left", ""),
    ):
        each = actions.add_parser(action, help=about, description=about)
        each.add_argument("store", metavar="STORE", help="a folder, or postgresql://USER@HOST/DATABASE")
        if other:
            each.add_argument("other", metavar=other)
        each.add_argument("--artifacts", default="", metavar="PLACE", help="where STORE's checkpoints lie")
        if action == "merge":
            each.add_argument("--other-artifacts", default="", metavar="PLACE", help="where OTHER's checkpoints lie")
        if action == "gc":
            each.add_argument("--dry-run", action="store_true", help="tell what would be removed, and remove nothing")


def store(options: argparse.Namespace, show: Show) -> int:
    from harness.store import exchange
    from harness.store.database import Store, existing
    from harness.terminal import texts

    if options.action == "import":  # into a new store too
        with (
            exchange.unpacked(Path(options.other)) as other,
            Store(options.store, options.artifacts) as opened,
        ):
            show([texts.moved(exchange.merge(other, opened))])
        return OK
    with existing(options.store, options.artifacts) as opened:
        if options.action == "gc":
            show([texts.cleaned(exchange.clean(opened, options.dry_run), options.dry_run)])
        elif options.action == "export":
            show([texts.moved(exchange.pack(opened, Path(options.other)))])
        else:
            with existing(options.other, options.other_artifacts) as other:
                show([texts.moved(exchange.merge(other, opened))])
    return OK
