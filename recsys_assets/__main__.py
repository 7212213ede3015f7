"""`python -m recsys_assets` is the `recsys` command."""

from recsys_assets.cli import main

main()
