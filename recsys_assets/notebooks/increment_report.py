# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% tags=["parameters"]
home = ".recsys"
day = "2017-01-01"
known_at = ""

# %%
from datetime import date
from pathlib import Path

from IPython.display import HTML, Markdown

from recsys_assets.interactions import day_in_window
from recsys_assets.storage.home import Home

# %matplotlib inline
# %config InlineBackend.print_figure_kwargs = {"bbox_inches": None}
data = day_in_window.load_day(Home(Path(home)), date.fromisoformat(day))
worst = data.results[0].verdict if data.results else "not audited"
display(Markdown(f"# Increment of {day}\n\n{date.fromisoformat(day):%A}; worst verdict: **{worst}**"))
if known_at:
    display(Markdown(f"As known at {known_at}: rows that landed later are left out."))

# %% [markdown]
# ## The day beside its trailing window

# %%
display(HTML(day_in_window.as_html(day_in_window.summary(data))))

# %% [markdown]
# ## Rows that are no interaction

# %%
left_out = day_in_window.left_out(data)
if left_out.height:
    sentence = f"{data.account.rows:,} raw rows, {data.account.kept:,} interactions; the others:"
    display(Markdown(sentence), HTML(day_in_window.as_html(left_out)))
else:
    display(Markdown("None: every raw row is an interaction."))

# %%
display(day_in_window.rows_figure(data))
display(day_in_window.hours_figure(data))
display(day_in_window.values_figure(data))
display(day_in_window.newcomers_figure(data.profiles))

# %% [markdown]
# ## Drift
#
# Each statistic of the day, compared with the 28 days before it and with the same weekdays before it.

# %%
display(day_in_window.drift_figure(data.results))

# %% [markdown]
# ## Top items

# %%
display(HTML(day_in_window.as_html(day_in_window.top_items(data))))

# %% [markdown]
# ## Checks
#
# Each check with its value and its thresholds; the worst verdicts come first.

# %%
display(HTML(day_in_window.as_html(day_in_window.checks(data))))

# %% [markdown]
# ## Failing rows

# %%
failing = day_in_window.failing_rows(data)
for check, rows in failing.items():
    display(Markdown(f"**{check}**"), HTML(day_in_window.as_html(rows)))
if not failing:
    display(Markdown("None."))
