import msgspec
import numpy as np
import pytest
import torch

from recsys_assets.embeddings import softmax
from recsys_assets.embeddings.factorisation import Start
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.training import train
from recsys_assets.embeddings.user_item_graph import UserItemGraph
from recsys_assets.errors import TrainingDataError
from recsys_assets.training_settings import SoftmaxSettings, TrainingSettings
from recsys_assets_tests.embeddings.worlds import block_world, events

SETTINGS = TrainingSettings(
    model="softmax", embedding_size=8, softmax=SoftmaxSettings(epochs=6, batch_users=20, sampled_items=30)
)


@pytest.fixture(scope="module")
def world():
    return InteractionMatrix.from_interactions(block_world())


def test_the_loss_falls_and_the_same_seed_gives_the_same_bytes(world):
    first, second = train(world, SETTINGS), train(world, SETTINGS)
    assert first.losses[-1] < first.losses[0]
    assert first.item_embeddings.tobytes() == second.item_embeddings.tobytes()


def test_a_planted_block_world_is_recovered(world):
    found = train(world, SETTINGS)
    scores_UI = found.user_embeddings @ found.item_embeddings.T
    same_UI = np.arange(len(world.users))[:, None] % 4 == np.arange(len(world.items)) % 4
    assert (scores_UI[same_UI].mean() - scores_UI[~same_UI].mean()) > 0.5


def test_the_gradient_in_closed_form_is_that_of_the_stated_loss(world):
    rng = np.random.default_rng(0)
    batch, sampled, tau = np.arange(0, 80, 3), rng.choice(60, 25, replace=False), 0.3
    users, items = (
        torch.nn.functional.normalize(torch.randn(rows, 8, dtype=torch.float64)).requires_grad_()
        for rows in (80, 60)
    )
    popularity = torch.linspace(0, 3, 60, dtype=torch.float64)
    loss = 0
    for user in batch:
        own = world.item_nums[world.indptr[user] : world.indptr[user + 1]]
        others = [item for item in sampled if item not in own]
        scores = users[user] @ items.T / tau + popularity
        against = len(items) / len(sampled) * scores[others].exp().sum()
        for item in own:
            loss = loss - torch.log(scores[item].exp() / (scores[item].exp() + against))
    loss.backward()
    total, gradients = softmax.loss_and_gradients(
        UserItemGraph.of(world, device="cpu"),
        torch.from_numpy(batch),
        torch.from_numpy(sampled),
        users_UE=users.detach().float(),
        items_IE=items.detach().float(),
        popularity_I=popularity.float(),
        temperature=tau,
    )
    assert total == pytest.approx(loss.item(), rel=1e-5)
    np.testing.assert_allclose(gradients[0], users.grad, atol=1e-3)
    np.testing.assert_allclose(gradients[1], items.grad, atol=1e-3)


def test_an_embedding_larger_than_the_catalogue_and_one_pair_are_embedded():
    matrix = InteractionMatrix.from_interactions(events([("u", "a", 1, 0)]))
    assert np.isfinite(train(matrix, SETTINGS).item_embeddings).all()


def test_one_dimension_has_no_room_for_a_direction(world):
    with pytest.raises(TrainingDataError, match="takes 2 or more"):
        train(world, msgspec.structs.replace(SETTINGS, embedding_size=1))


def test_what_is_served_is_the_cosine_and_the_weighed_log_of_the_users():
    matrix = InteractionMatrix.from_interactions(
        events([(f"u{n}", "often", 1, 0) for n in range(9)] + [(f"u{n}", "seldom", 1, 0) for n in range(2)])
    )
    found = train(matrix, SETTINGS)
    lengths = np.linalg.norm(found.item_embeddings[:, :-1], axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-5)
    for item, users in (("often", 9), ("seldom", 2)):
        last = found.item_embeddings[matrix.items.num(item), -1]
        np.testing.assert_allclose(found.user_embeddings[:, -1] * last, 0.12 * 0.7 * np.log(users), rtol=1e-5)


def test_a_new_item_starts_from_its_users(world):
    known = train(world, SETTINGS)
    items = known.item_embeddings.copy()
    items[7] = 0
    start = Start(user_embeddings=known.user_embeddings, item_embeddings=items)
    again = train(world, SETTINGS, start=start)
    scores_U = again.user_embeddings @ again.item_embeddings[7]
    assert scores_U[3::4].mean() > scores_U[0::4].mean() + 0.5
