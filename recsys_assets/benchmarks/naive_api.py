"""What a competent engineer writes in an hour: FastAPI, exact scoring in numpy, a set for the seen items.

`recsys bench serve` compares with it, on the same embeddings. Run by uvicorn with `RECSYS_NAIVE_RELEASE` set.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI, HTTPException

from recsys_assets.storage.string_table import StringTable, Vocabulary

folder = Path(os.environ["RECSYS_NAIVE_RELEASE"])
release_id = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["release_id"]
item_ids = list(StringTable.load(folder, "items"))
titles = list(StringTable.load(folder, "titles"))
categories = list(StringTable.load(folder, "categories"))
users = {user_id: num for num, user_id in enumerate(Vocabulary.load(folder, "users"))}
user_embeddings = np.load(folder / "user_embeddings.npy")
item_embeddings = np.load(folder / "item_embeddings.npy")
indptr = np.load(folder / "history_indptr.npy")
history = np.load(folder / "history_items.npy")

app = FastAPI()


@app.get("/v1/users/{user_id}/recommendations")  # type: ignore[untyped-decorator, unused-ignore]
def recommend(user_id: str, k: int = 10) -> dict[str, Any]:
    """The k best items that the user does not have."""
    if user_id not in users:
        raise HTTPException(404, "unknown user")
    num = users[user_id]
    seen = set(history[indptr[num] : indptr[num + 1]].tolist())
    scores = item_embeddings @ user_embeddings[num]
    reach = min(k + len(seen), len(scores))
    candidates = np.argpartition(-scores, reach - 1)[:reach]
    ranked = candidates[np.argsort(-scores[candidates])]
    items = [
        {
            "item_id": item_ids[item],
            "title": titles[item],
            "category": categories[item],
            "score": float(scores[item]),
        }
        for item in ranked.tolist()
        if item not in seen
    ][:k]
    return {"release": release_id, "user_id": user_id, "items": items}
