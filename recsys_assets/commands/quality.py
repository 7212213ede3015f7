"""`quarantine …` and `report`: looking at refused days, and at any day."""

import click

COMMANDS: list[click.Command] = []
