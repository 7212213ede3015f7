"""A jupytext notebook executed in this process, and the page that shows its outputs.

A kernel of its own would cost every report a process, a second or two of imports and a socket. Here each run has a
namespace of its own, so that no variable is left to the next one. Cells call the built-in `display`, which every
kernel has too; magics are comments here, and figures are shown as `%matplotlib inline` shows them in a kernel.
"""

import ast
import base64
import html
import io
from functools import cache
from pathlib import Path
from typing import Any, Final

from recsys_assets.errors import ReportError

_FORMAT: Final = {"extension": ".py", "format_name": "percent", "comment_magics": False}
_PARAMETERS: Final = "parameters"


def execute_to_html(notebook: Path, parameters: dict[str, str]) -> str:
    """Run a notebook from its first cell to its last, and return it as an HTML page without its code.

    Args:
        notebook: in jupytext's percent format, with one cell tagged `parameters`.
        parameters: name -> value, assigned after that cell.

    Raises:
        ReportError: a cell raised; the message names the notebook, the parameters and the error.
    """
    import jupytext  # noqa: PLC0415  the notebook machinery takes half a second to import

    executed = jupytext.read(notebook, fmt=_FORMAT)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for cell in executed.cells:
        if cell.cell_type != "code":
            continue
        try:
            cell.outputs = _outputs(cell.source, namespace, name=str(notebook))
        except (Exception, SystemExit) as error:
            raise ReportError(f"{notebook.name} {parameters}: {type(error).__name__}: {error}") from error
        if _PARAMETERS in cell.metadata.get("tags", []):
            namespace |= parameters
    page: str = _exporter().from_notebook_node(executed)[0]
    return page


def _outputs(source: str, namespace: dict[str, Any], *, name: str) -> list[Any]:
    """Run a cell, and return what it displays, the value of a last expression included."""
    from nbformat import NotebookNode  # noqa: PLC0415

    found: list[Any] = []

    def display(*shown: object) -> None:
        for each in shown:
            data, metadata = _formats(each)
            found.append(NotebookNode(output_type="display_data", data=data, metadata=metadata))

    namespace["display"] = display
    *body, last = [*ast.parse(source, filename=name).body] or [ast.Pass()]
    value = None
    if isinstance(last, ast.Expr):
        exec(compile(ast.Module(body, []), name, "exec"), namespace)  # noqa: S102  the project's own notebook
        value = eval(compile(ast.Expression(last.value), name, "eval"), namespace)  # noqa: S307
    else:
        exec(compile(source, name, "exec"), namespace)  # noqa: S102
    if value is not None:
        display(value)
    return found


def _formats(shown: object) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a page can show of an object, by MIME type, and its metadata."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    if isinstance(shown, Figure):  # drawn here: an error of IPython's formatters would only be printed
        png = io.BytesIO()
        shown.savefig(png, format="png")
        titles = html.escape(", ".join(axes.get_title() for axes in shown.axes))
        source = f"data:image/png;base64,{base64.b64encode(png.getvalue()).decode()}"
        return {"text/html": f'<img alt="{titles}" src="{source}">'}, {}
    data, metadata = _formatter().format(shown)
    return data, metadata


@cache
def _formatter() -> Any:
    from IPython.core.formatters import DisplayFormatter  # noqa: PLC0415

    return DisplayFormatter()


@cache
def _exporter() -> Any:
    """Return the exporter; its templates are compiled once a process."""
    from nbconvert import HTMLExporter  # noqa: PLC0415

    return HTMLExporter(
        exclude_input=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        mathjax_url="",  # the page works offline
        require_js_url="",
    )
