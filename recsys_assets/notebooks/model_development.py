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

from IPython.display import HTML, Markdown, display

from recsys_assets.notebooks import trials as trials_of
from recsys_assets.interactions import day_in_window
from recsys_assets.storage.home import Home

# %matplotlib inline
data = trials_of.load(Home(Path(home)), last_days=int(last_days))
display(Markdown(f"# Model development\n\n{data.rows:,} interactions, {data.first_day} to {data.last_day}"))

# %% [markdown]
# ## Sizes and regularisation, on held-out time

# %%
trials = trials_of.try_settings(
    data,
    sizes=[int(size) for size in embedding_sizes.split(",")],
    regularizations=[float(strength) for strength in regularizations.split(",")],
)
display(HTML(day_in_window.as_html(trials)))
display(trials_of.trials_figure(trials))

# %% [markdown]
# ## The shape of the embeddings
#
# Items on the first two principal components, coloured by category.

# %%
display(trials_of.shape_figure(data))
