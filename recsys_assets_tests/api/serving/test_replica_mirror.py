"""A replica's cache follows an object store, and keeps what it has where that cannot be followed."""

from datetime import UTC, datetime, timedelta

import pytest

from recsys_assets.api.serving.replica_mirror import ReplicaMirror
from recsys_assets.api.serving.replica_note import FollowedStore, read_note, replica_file
from recsys_assets.errors import ObjectStoreError, StoreUnavailableError
from recsys_assets.intake.newest_catalogue import CatalogueRow, read_newest, write_newest
from recsys_assets.release.load import load_current
from recsys_assets.release.release_objects import release_key
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.storage.home import Home
from recsys_assets.storage.memory_objects import MemoryObjects
from recsys_assets_tests.api.replicas import promote
from recsys_assets_tests.api.world import publish_release

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Outages(MemoryObjects):
    """A store that can stop to answer."""

    is_down = False

    def get_changed(self, key, *, tag):
        if self.is_down:
            raise StoreUnavailableError(f"{self.url}/{key}: no answer for 8 s")
        return super().get_changed(key, tag=tag)


class World:
    """A store, a cache that follows it, and a clock that stands until it is moved."""

    def __init__(self, folder, releases: list, **options) -> None:
        self.store = Outages()
        self.home = Home(folder / "cache")
        self.releases = releases
        self.seconds = 0.0
        self.options = options
        self.mirror = self.mirror_again()

    def mirror_again(self) -> ReplicaMirror:
        self.mirror = ReplicaMirror(
            self.store,
            self.home,
            now=lambda: NOW + timedelta(seconds=self.seconds),
            clock=lambda: self.seconds,
            **self.options,
        )
        return self.mirror

    def promote(self, number: int) -> str:
        promote(self.store, self.releases[number])
        return self.releases[number].name

    def look(self, *, after: float = 2.0) -> str | None:
        self.seconds += after
        self.mirror.look()
        return self.mirror.problem

    def current(self) -> str | None:
        return ReleaseStore(self.home.releases).current_id()

    def kept(self) -> set[str]:
        return {path.name for path in self.home.releases.iterdir() if path.is_dir() and path.name[0] != "."}


@pytest.fixture(scope="module")
def releases(tmp_path_factory) -> list:
    """Three releases of a home."""
    home = Home(tmp_path_factory.mktemp("builder"))
    return [home.releases / publish_release(home, seed=seed, promote=False) for seed in range(3)]


@pytest.fixture
def world(tmp_path, releases) -> World:
    return World(tmp_path, releases)


def test_nothing_is_current_before_the_first_promotion(world):
    assert world.look() is None
    assert (world.current(), world.mirror.served()) == (None, None)


def test_a_promoted_release_is_fetched_and_made_current(world):
    release = world.promote(0)
    assert world.look() is None
    assert world.current() == world.mirror.served() == release
    assert load_current(world.home.releases, verify=True).release_id == release
    assert [move.after for move in ReleaseStore(world.home.releases).promotions()] == [release]


def test_a_roll_back_needs_no_fetch(world):
    first = world.promote(0)
    world.look()
    world.promote(1)
    world.look()
    world.store.get_file = None  # would be called
    world.promote(0)
    assert world.look() is None
    assert world.current() == first


def test_a_damaged_object_leaves_the_release_that_is_served(world):
    first = world.promote(0)
    world.look()
    second = world.promote(1)
    key = release_key(second, "user_embeddings.npy")
    whole = world.store.get(key).content
    world.store.put(key, whole[:-1] + b"?")
    problem = world.look()
    assert f"release {second} is rejected since 2026-01-01 12:00:04 UTC" in problem
    assert f"release {first} is served meanwhile" in problem
    assert f"{key}: sha256 is" in problem
    assert world.current() == first
    assert world.kept() == {first}
    world.store.put(key, whole)
    assert world.look(after=1) == problem  # it is not read at every look
    assert world.look(after=5) is None
    assert world.current() == second


def test_a_damaged_current_is_named_as_what_is_rejected(world):
    world.promote(0)
    world.look()
    world.store.put("releases/current", b"garbage")
    world.look()
    assert "current is rejected" in (world.mirror.problem or "")


def test_a_release_that_is_gone_leaves_the_one_that_is_served(world):
    first = world.promote(0)
    world.look()
    second = world.promote(1)
    world.store.delete([release_key(second, "manifest.json")])
    assert "no such object; promote another release there" in world.look()
    assert world.current() == first
    third = world.promote(2)
    assert world.look() is None
    assert world.current() == third


def test_an_outage_says_since_when_and_what_is_served(world):
    first = world.promote(0)
    world.look()
    world.store.is_down = True
    problem = world.look()
    assert "no answer since 2026-01-01 12:00:04 UTC; release" in problem
    assert f"release {first} is served meanwhile" in problem
    assert world.look(after=100) == problem
    with pytest.raises(ObjectStoreError, match="no answer since"):
        FollowedStore(world.home, "memory:").look()
    world.store.is_down = False
    assert world.look() is None
    FollowedStore(world.home, "memory:").look()


def test_a_rejection_is_still_known_after_an_outage(world):
    world.promote(0)
    world.look()
    second = world.promote(1)
    world.store.delete([release_key(second, "user_embeddings.npy")])
    rejection = world.look()
    world.store.is_down = True
    assert "no answer" in world.look(after=1)
    world.store.is_down = False
    assert world.look(after=1) == rejection


def test_a_cache_from_before_is_served_while_the_store_does_not_answer(world):
    first = world.promote(0)
    world.look()
    world.store.is_down = True
    again = world.mirror_again()
    world.look()
    assert again.served() == first
    (world.home.releases / first / "user_embeddings.npy").write_bytes(b"")
    assert again.served() is None


def test_a_damaged_cache_is_mended_at_the_next_start(world):
    first = world.promote(0)
    world.look()
    (world.home.releases / "current").write_text("nothing")
    (world.home.releases / first / "user_embeddings.npy").write_bytes(b"")
    world.mirror_again()
    world.look()
    assert world.mirror.served() == first


def test_documents_follow_and_go(world):
    world.store.put("rules.toml", b'[lists]\nhouse = "house.txt"\n')
    world.store.put("house.txt", b"i1\n")
    world.promote(0)
    world.store.put("api_keys.json", b"[]")
    world.store.put("releases/recalled.json", b"[]")
    world.store.put("artifacts/large", b"")
    world.look()
    world.look()
    root = world.home.root
    assert (root / "house.txt").read_bytes() == b"i1\n"
    assert (root / "releases" / "recalled.json").read_bytes() == b"[]"
    assert (root / "api_keys.json").stat().st_mode & 0o777 == 0o600
    assert not (root / "artifacts").exists()
    world.store.delete(["rules.toml", "api_keys.json"])
    world.look()
    assert not (root / "rules.toml").exists()
    assert not (root / "api_keys.json").exists()


def test_a_store_that_was_emptied_takes_nothing_away(world):
    first = world.promote(0)
    world.store.put("api_keys.json", b"[]")
    world.look()
    world.store.delete([one.key for one in world.store.list()])
    assert "no such object" in world.look()
    assert world.mirror.served() == first
    assert (world.home.root / "api_keys.json").exists()


def test_a_list_outside_of_the_cache_or_in_place_of_its_own_files_is_not_followed(world, tmp_path):
    first = world.promote(0)
    names = ["../house.txt", "/tmp/house.txt", "releases/current", "replica.json", ".lease", "events.sqlite"]
    lists = "\n".join(f'l{number} = "{name}"' for number, name in enumerate(names))
    world.store.put("rules.toml", f"[lists]\n{lists}\n".encode())
    for name in names[2:]:
        world.store.put(name, world.store.get(name).content if name == "releases/current" else b"other")
    world.look()
    assert world.look() is None
    assert world.current() == first
    assert not (tmp_path / "house.txt").exists()
    assert not (world.home.root / "events.sqlite").exists()


def test_the_catalogue_follows_whole_or_not_at_all(world, tmp_path):
    made = tmp_path / "made"
    for price in (1.0, 2.0):
        write_newest(made, [CatalogueRow("i1", "Tea", price)])
        files = {file.name: file.read_bytes() for file in made.iterdir()}
        for name, content in files.items():
            world.store.put(f"lake/catalogue_now/{name}", content)
            world.look()
        found = read_newest(world.home.catalogue_now)
        assert found is not None
        assert found.price_of("i1") == price


def test_the_cache_keeps_the_release_before_and_no_other(world):
    names = []
    for number in range(3):
        names.append(world.promote(number))
        world.look(after=100)
    assert world.kept() == set(names)  # the last one was replaced just now: workers may still open its files
    world.look(after=100)
    assert world.kept() == set(names[1:])


def test_a_release_without_room_is_rejected_until_there_is_more(tmp_path, releases):
    size = max(sum(file.stat().st_size for file in folder.iterdir()) for folder in releases)
    world = World(tmp_path, releases, most_bytes=int(2.5 * size))
    names = []
    for number in range(2):
        names.append(world.promote(number))
        assert world.look(after=1) is None
    third = world.promote(2)
    assert "--cache-gb allows" in world.look(after=1)  # both are still served
    assert world.current() == names[1]
    assert world.look(after=100) is None
    assert (world.current(), world.kept()) == (third, {names[1], third})


def test_the_note_names_the_store(world):
    assert read_note(world.home) is None
    world.look()
    assert read_note(world.home).url == "memory:"
    replica_file(world.home).write_text("{")
    with pytest.raises(ObjectStoreError, match="start the replica again"):
        FollowedStore.of(world.home)


def test_the_note_names_what_is_followed_beside_the_release_and_cannot_be(world):
    problems = ["item states cannot be read"]
    world.options["beside"] = lambda: problems[-1]
    world.mirror_again()
    assert world.look() == read_note(world.home).problem == "item states cannot be read"
    problems.append(None)
    assert world.look() is None
    assert read_note(world.home).problem is None


def test_the_note_of_an_earlier_process_is_replaced(world):
    world.options["beside"] = lambda: "item states cannot be read"
    world.mirror_again().look()
    del world.options["beside"]
    world.mirror_again().look()
    assert read_note(world.home).problem is None
