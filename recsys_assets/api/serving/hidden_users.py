"""Users whose forget was requested and has not ended: every answer treats them as strangers until their rows are gone.

The ids come from `unfinished_forgets.json`, which each worker follows; the vocabulary and the features of the served
release do not find them meanwhile.
"""

from collections.abc import Sequence

from recsys_assets.release.load import Release
from recsys_assets.storage.forgotten import read_unfinished_forgets
from recsys_assets.storage.home import Home


class HiddenUsers:
    """The users of one home who are hidden."""

    def __init__(self, home: Home) -> None:
        """Hide nobody yet."""
        self._home = home
        self._seen: tuple[int, int] | None = None
        self.ids: frozenset[str] = frozenset()
        """Their ids."""

    def refresh(self, releases: Sequence[Release]) -> None:
        """Take up requests and ends, and hide the users in these releases.

        Raises:
            ForgetError: the requests cannot be read; the users hidden before stay hidden.
        """
        seen = self._stamp()
        if seen != self._seen:
            unfinished = read_unfinished_forgets(self._home)
            self.ids = frozenset(user for one in unfinished for user in one.users)
            self._seen = seen
        for release in releases:
            self.hide_in(release)

    def hide_in(self, release: Release) -> None:
        """Have a release not find them: by number, by feature, or in a search of users."""
        release.users.hidden = release.features.hidden = self.ids

    def _stamp(self) -> tuple[int, int]:
        try:
            status = self._home.unfinished_forgets.stat()
        except OSError:  # nobody is being forgotten, or reading says why
            return 0, 0
        return status.st_mtime_ns, status.st_ino
