"""The code location that Dagster loads: the one of the home that `RECSYS_HOME` names."""

import sys
from datetime import UTC, datetime
from functools import partial

from recsys_assets.intake.states_of_home import exchange_states
from recsys_assets.orchestration.instance import build_definitions
from recsys_assets.storage.home import Home
from recsys_assets.storage.private_files import close_to_others, keep_private
from recsys_assets.storage.store_binding import bind
from recsys_assets.storage.store_writing import refresh
from recsys_assets.training_settings import limit_spinning

home = Home.locate()
keep_private()
close_to_others(home)
bind(home)
refresh(home.root)
exchange_states(home, now=datetime.now(UTC), say=partial(print, file=sys.stderr))
limit_spinning()
defs = build_definitions(home)
