"""What the server process tells its workers, through the environment, since they are new processes."""

import msgspec

from recsys_assets.settings import ApiSettings

OPTIONS_VARIABLE = "RECSYS_SERVE_OPTIONS"


class ServeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """One `recsys serve`."""

    home: str
    """The installation's folder, absolute."""
    workers: int
    """How many processes share the port."""
    fallback_previous: bool
    """Whether another release may be served where the current one is broken."""
    api: ApiSettings
    """What the API allows."""
    shared: str | None = None
    """A folder for what the workers have in common, where there are several."""
