"""One message of the live view: events as they arrive, clicks by arm, and the progress of `recsys stream`."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Final

import msgspec

from recsys_assets.api.http.bodies import encode
from recsys_assets.api.schemas.live_schemas import LiveClicks, LiveEvent, LiveMessage, StreamProgress
from recsys_assets.api.serving.live import Live
from recsys_assets.api.serving.serving_release import Serving
from recsys_assets.errors import RecsysError, ReleaseError
from recsys_assets.intake.latest_rows import LatestEvent, LatestRows
from recsys_assets.release.answer_id import parse_answer_id
from recsys_assets.release.answer_series import series_of
from recsys_assets.storage.atomic import read_file

NEWEST: Final = 12
"""Events of a message."""
CLICKS_SECONDS: Final = 5.0
"""Time between two counts of clicks."""
_LETTERS_OF_USER: Final = 4
_MOST_BYTES: Final = 65_536
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class LiveState:
    """Makes the messages of one process, one after another."""

    def __init__(
        self, live: Live, *, clock: Callable[[], datetime], seconds: Callable[[], float] = monotonic
    ) -> None:
        """Look at nothing yet.

        Args:
            live: the served release, and its home.
            clock: the time of a message.
            seconds: a clock that never goes back, s.
        """
        self._live = live
        self._clock = clock
        self._seconds = seconds
        self._rows = LatestRows(live.home.events_db)
        self._last: tuple[int, float] | None = None
        """Sequence number of the newest event at the last look, and its time."""
        self._clicks: tuple[float, dict[str, LiveClicks]] | None = None

    def message(self) -> bytes:
        """Return the next message as JSON; a problem with a file is in it, in words.

        Raises:
            ReleaseError: no release is served.
        """
        serving = self._live.serving
        if serving is None:
            raise ReleaseError("no release is loaded; see /health/ready")
        rate, newest, clicks, stream, problem = 0.0, list[LiveEvent](), dict[str, LiveClicks](), None, None
        try:
            stream = self._stream()
            rate = self._rate()
            newest = [_shown(event, serving) for event in self._rows.newest(NEWEST)]
            clicks = self._clicks_by_arm()
        except RecsysError as error:
            problem = str(error).replace(f"{self._live.home.root}/", "")
        return encode(
            LiveMessage(
                release=serving.release_id,
                at=self._clock(),
                events_per_second=round(rate, 2),
                newest=newest,
                ctr_by_arm=clicks,
                stream=stream,
                states_version=serving.states.version,
                problem=problem,
            )
        )

    def close(self) -> None:
        """Close the files."""
        self._rows.close()

    def _rate(self) -> float:
        now, before = self._seconds(), self._last
        number = 0 if before is None else self._rows.after(before[0])
        self._last = (self._rows.last(), now)
        return 0.0 if before is None else number / max(now - before[1], 1e-3)

    def _clicks_by_arm(self) -> dict[str, LiveClicks]:
        now = self._seconds()
        if self._clicks is None or now - self._clicks[0] >= CLICKS_SECONDS:
            self._clicks = (now, self._counted())
        return self._clicks[1]

    def _counted(self) -> dict[str, LiveClicks]:
        shown: Counter[tuple[str | None, str]] = Counter()
        clicked: Counter[tuple[str | None, str]] = Counter()
        known = series_of(self._live.home.answers_db)
        for answer_id, was_clicked in self._rows.answers_shown():
            answer = parse_answer_id(answer_id)
            found = None if answer is None else known.get(answer.series)
            if found is not None:
                group = (found.experiment, found.arm or found.list)
                shown[group] += 1
                clicked[group] += was_clicked
        return {
            arm if experiment is None else f"{experiment} / {arm}": LiveClicks(
                experiment=experiment,
                arm=arm,
                shown=number,
                clicked=clicked[experiment, arm],
                ctr=round(clicked[experiment, arm] / number, 6),
            )
            for (experiment, arm), number in sorted(
                shown.items(), key=lambda one: (one[0][0] or "", one[0][1])
            )
        }

    def _stream(self) -> StreamProgress | None:
        """Return what `recsys stream` wrote last; None where none has run, or it is being written now."""
        try:
            content = read_file(self._live.home.stream_state, most=_MOST_BYTES)
            return msgspec.json.decode(content, type=StreamProgress)
        except (OSError, msgspec.MsgspecError):
            return None


def _shown(event: LatestEvent, serving: Serving) -> LiveEvent:
    num = serving.release.items.num_of(event.item_id)
    shown = event.user_id[: min(_LETTERS_OF_USER, max(1, len(event.user_id) // 2))]
    return LiveEvent(
        at=_EPOCH + timedelta(microseconds=event.received_at),
        user=f"{shown}…",
        kind=event.kind,
        item_id=event.item_id,
        title=None if num is None else serving.release.titles[num] or None,
    )
