"""A notebook is executed without a kernel: the same outputs, errors by name, nothing left for the next run."""

import re

import jupytext
import pytest
from nbclient import NotebookClient

from recsys_assets.errors import ReportError
from recsys_assets.interactions.executed_notebook import execute_to_html

PARAMETERS = '# %% tags=["parameters"]\nday = "none"\n'
EVERY_OUTPUT = (
    PARAMETERS + "# %%\nfrom IPython.display import HTML, Markdown\nfrom matplotlib.figure import Figure\n"
    "# %matplotlib inline\nfigure = Figure()\nfigure.subplots().set(title='Rows <by> day')\n"
    'display(Markdown(f"*of {day}*"), figure)\n'
    '# %% [markdown]\n# ## A heading\n# %%\nnumber = 41\nHTML(f"<b>{number + 1}</b>")\n# %%\nNone\n'
)


@pytest.fixture
def write(tmp_path):
    def write_notebook(text):
        notebook = tmp_path / "some.py"
        notebook.write_text(text)
        return notebook

    return write_notebook


def test_the_page_shows_figures_markdown_last_values_and_parameters_and_no_code(write):
    page = execute_to_html(write(EVERY_OUTPUT), {"day": "2017-01-01"})
    assert re.findall('<img alt="([^"]*)"', page) == ["Rows &lt;by&gt; day"]
    assert "<em>of 2017-01-01</em>" in page
    assert "<b>42</b>" in page
    assert "A heading" in page
    assert "number" not in page.partition("<body")[2]


def test_a_kernel_runs_the_same_notebook_with_the_same_outputs(write):
    opened = jupytext.read(write(EVERY_OUTPUT))
    opened.cells[1].source += "\n"
    NotebookClient(opened, kernel_name="python3", timeout=120).execute()
    shown = [set(output.data) for cell in opened.cells if cell.cell_type == "code" for output in cell.outputs]
    assert [next(iter(kinds - {"text/plain"})) for kinds in shown] == [
        "text/markdown",
        "image/png",
        "text/html",
    ]


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ('raise ValueError("no such " + day)', "some.py .*2017-01-01.*ValueError: no such 2017-01-01"),
        ("1 +", "some.py .*2017-01-01.*SyntaxError"),
        ("raise SystemExit(3)", "some.py .*2017-01-01.*SystemExit: 3"),
        ("%timeit 1", "some.py .*2017-01-01.*SyntaxError"),
    ],
)
def test_a_failing_cell_is_an_error_that_names_notebook_parameters_and_error(write, cell, said):
    with pytest.raises(ReportError, match=said):
        execute_to_html(write(f"{PARAMETERS}# %%\n{cell}\n"), {"day": "2017-01-01"})


def test_a_figure_that_cannot_be_drawn_is_an_error(write):
    cell = "from matplotlib.figure import Figure\nfigure = Figure()\nfigure.suptitle('$\\\\nosuch$')\nfigure"
    with pytest.raises(ReportError, match="nosuch"):
        execute_to_html(write(f"# %%\n{cell}\n"), {})


def test_no_variable_is_left_to_the_next_run(write):
    notebook = write(
        PARAMETERS + '# %%\n"seen before" if "left" in globals() else f"fresh on {day}"\n# %%\nleft = day\n'
    )
    assert "fresh on a" in execute_to_html(notebook, {"day": "a"})
    assert "fresh on b" in execute_to_html(notebook, {"day": "b"})
    assert "fresh on none" in execute_to_html(notebook, {})
