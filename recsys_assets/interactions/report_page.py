"""The increment report as a file: the notebook executed for one day to HTML, and printed to PDF."""

import shutil
import subprocess
import tempfile
from datetime import date
from pathlib import Path
from typing import Final

from recsys_assets.errors import ReportError
from recsys_assets.interactions.contract import INTERACTIONS
from recsys_assets.quality.quarantine import rejected_days
from recsys_assets.storage.atomic import replace_file
from recsys_assets.storage.home import Home, day_folder
from recsys_assets.storage.partition_store import PartitionStore

NOTEBOOK: Final = Path(__file__).parents[1] / "notebooks" / "increment_report.py"
HTML_FILE: Final = "increment_report.html"
PDF_FILE: Final = "increment_report.pdf"
_BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
_BROWSER_FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-pdf-header-footer",
)
_PDF_SECONDS: Final = 60


def write_report(home: Home, day: date) -> Path:
    """Execute the notebook for `day`, and replace its page among the home's reports.

    Raises:
        ReportError: the day has not landed or was rejected, or the notebook failed.
    """
    _require_landed(home, day)
    target = day_folder(home.reports, day) / HTML_FILE
    page = execute_to_html(NOTEBOOK, {"home": str(home.root), "day": day.isoformat()})
    replace_file(target, page.encode(), durable=False)
    return target


def _require_landed(home: Home, day: date) -> None:
    store = PartitionStore(root=home.interactions, schema=INTERACTIONS.polars_schema())
    if store.path(day).is_file():
        return
    if any(rejected.day == day for rejected in rejected_days(home.quarantine)):
        raise ReportError(f"{day} was rejected and is in quarantine: see `recsys quarantine show {day}`")
    days = store.days()
    landed = f"{days[0]} to {days[-1]} have" if days else "none has"
    raise ReportError(f"{day} has not landed ({landed}): run `recsys build`, or choose another day")


def execute_to_html(notebook: Path, parameters: dict[str, str]) -> str:
    """Run a jupytext notebook in a new kernel, and return it as an HTML page without its code.

    Args:
        notebook: in percent format, with one cell tagged `parameters`.
        parameters: name -> value, assigned after that cell.

    Raises:
        ReportError: a cell raised.
    """
    from nbconvert import HTMLExporter  # noqa: PLC0415  the notebook machinery takes a second to import

    with tempfile.TemporaryDirectory(prefix="recsys-report-") as scratch:
        executed = _execute(notebook, parameters, scratch=Path(scratch))
        exporter = HTMLExporter(
            exclude_input=True,
            exclude_input_prompt=True,
            exclude_output_prompt=True,
            mathjax_url="",  # the page works offline
            require_js_url="",
        )
        page: str = exporter.from_filename(str(executed))[0]
    return page


def write_pdf(page: Path) -> Path:
    """Print an HTML report to a PDF beside it, with headless Chromium.

    Raises:
        ReportError: Chromium is missing, or failed.
    """
    browser = next((found for name in _BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        raise ReportError(
            f"no Chromium was found to print {page}; install one (Debian: apt install chromium)"
        )
    target = page.with_name(PDF_FILE)
    with tempfile.TemporaryDirectory(prefix="recsys-browser-") as profile:
        where = (f"--user-data-dir={profile}", f"--print-to-pdf={target}")
        command = [browser, *_BROWSER_FLAGS, *where, page.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PDF_SECONDS, check=False)  # noqa: S603
    if done.returncode or not target.exists():
        raise ReportError(f"{browser} could not print {page}: {done.stderr.strip().splitlines()[-1:]}")
    return target


def _execute(notebook: Path, parameters: dict[str, str], *, scratch: Path) -> Path:
    import jupytext  # noqa: PLC0415
    import papermill  # noqa: PLC0415
    from papermill.exceptions import PapermillExecutionError  # noqa: PLC0415
    from traitlets.config import Config  # noqa: PLC0415

    source, executed = scratch / "source.ipynb", scratch / "executed.ipynb"
    jupytext.write(jupytext.read(notebook), source)
    try:
        papermill.execute_notebook(
            source,
            executed,
            parameters=parameters,
            kernel_name="python3",
            language="python",
            progress_bar=False,
            cwd=str(scratch),
            request_save_on_cell_execute=False,  # nobody reads it before the last cell
            # The kernel belongs to this notebook and has nothing left to do. An ordinary shutdown interrupts it
            # first, reports that on the terminal, and takes a second.
            shutdown_kernel="immediate",
            # Sockets in the file system, which nobody else on the machine can connect to, and in a folder of
            # their own: by default they are in the working folder, and two kernels answer each other.
            config=Config(
                KernelManager={"transport": "ipc", "connection_file": str(scratch / "kernel.json")}
            ),
        )
    except PapermillExecutionError as error:
        raise ReportError(f"{notebook.name} {parameters}: {error.ename}: {error.evalue}") from error
    return executed
