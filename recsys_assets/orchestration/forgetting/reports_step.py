"""Forget users in reports: those on days, on replays, and on days as they were known earlier.

A report keeps its figures, which count everybody who was there, and loses the rows and sentences that name the user.
"""

import stat
from pathlib import Path
from typing import Final

from recsys_assets.orchestration.forgetting.taken_out_files import take_out_of_file
from recsys_assets.orchestration.forgetting.wanted_ids import WantedIds
from recsys_assets.storage.atomic import remove_file, replace_file
from recsys_assets.storage.forgotten import StepResult
from recsys_assets.storage.home import Home
from recsys_assets.storage.locks import locked

_NOTE: Final = "<p><em>Rows of one or more users were taken out of this report (forget #{}).</em></p>"
_PRINTED: Final = ".pdf"
_END: Final = "</body>"


def forget_in_reports(home: Home, ids: frozenset[str], *, number: int) -> StepResult:
    """Take rows and words about the users out of every report, and say so at its end.

    A printed copy of such a report (PDF) is removed: its text is packed, and it can be printed again. One without a
    page beside it is removed too, since nobody can say whom it shows.
    """
    wanted, changed, pages, printed = WantedIds(ids), 0, 0, 0
    with locked(home.lock("reports")):
        for page in _files_under(home.reports):
            if page.suffix == _PRINTED:
                continue
            found = take_out_of_file(page, wanted)
            if found and page.suffix == ".html":
                _say_so(page, number)
            changed, pages = changed + found, pages + bool(found)
        for copy in _files_under(home.reports):
            beside = list(copy.parent.glob("*.html"))
            if copy.suffix == _PRINTED and (not beside or any(map(_was_changed, beside))):
                remove_file(copy)
                printed += 1
    detail = f"{changed:,} rows and words on {pages:,} pages" if changed else ""
    if printed:
        detail = (
            f"{detail or 'nothing on pages'}; {printed:,} printed copies removed, which can be printed again"
        )
    return StepResult(step="reports", detail=detail, changed=changed + printed)


def _files_under(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _say_so(page: Path, number: int) -> None:
    """Note the change at the end of a page; cut short before, the page lacks the note and nothing else."""
    text = page.read_text(encoding="utf-8", errors="surrogateescape")
    head, end, tail = text.rpartition(_END)
    new = f"{head}{_NOTE.format(number)}{end}{tail}" if end else text + _NOTE.format(number)
    replace_file(page, new.encode(errors="surrogateescape"), mode=stat.S_IMODE(page.stat().st_mode))


def _was_changed(page: Path) -> bool:
    """Return True where a forget took something out of a page, perhaps one that was killed before its copy went."""
    return _NOTE.partition("{")[0] in page.read_text(encoding="utf-8", errors="surrogateescape")
