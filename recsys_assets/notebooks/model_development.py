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
last_days = 0
embedding_sizes = "16,32,64"
regularizations = "0.002,0.005,0.02"

# %%
from pathlib import Path

from IPython.display import HTML, Markdown

from recsys_assets.interactions import day_in_window
from recsys_assets.notebooks import trials
from recsys_assets.storage.home import Home

# %matplotlib inline
data = trials.load(Home(Path(home)), last_days=int(last_days))
display(Markdown(f"# Model development\n\n{data.rows:,} interactions, {data.first_day} to {data.last_day}"))

# %% [markdown]
# ## Sizes and regularisation, on held-out time
#
# Each combination is trained on the earlier days and ranks items for the users of the held-out days.

# %%
tried = trials.try_settings(
    data,
    sizes=[int(size) for size in embedding_sizes.split(",")],
    regularizations=[float(strength) for strength in regularizations.split(",")],
)
display(HTML(day_in_window.as_html(tried)))
display(trials.trials_figure(tried))

# %% [markdown]
# ## The shape of the embeddings
#
# Items on the first two principal components, coloured by department.

# %%
display(trials.shape_figure(data))
