"""``python -m pronk``: the same as the ``pronk`` command."""

from pronk.cli.main import main

main()
