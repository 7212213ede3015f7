"""A store that does not answer is waited for, and an unseen success is no failure."""

import pytest

from recsys_assets.errors import ObjectExistsError, StoreUnavailableError
from recsys_assets.storage.memory_objects import MemoryObjects
from recsys_assets.storage.patient_objects import PatientObjects, TriedOnce
from recsys_assets.storage.s3_objects import S3Objects
from recsys_assets_tests.object_servers import running_seaweed


class LosingAnswers(MemoryObjects):
    """A store that does the work, and fails to answer the first times."""

    def __init__(self, losses: int) -> None:
        super().__init__()
        self.losses = losses

    def create(self, key, content, *, metadata=None):
        tag = super().create(key, content, metadata=metadata)
        if self.losses:
            self.losses -= 1
            raise StoreUnavailableError("no answer")
        return tag


def test_a_creation_whose_answer_was_lost_is_made():
    said: list[str] = []
    store = LosingAnswers(1)
    tag = PatientObjects(store, say=said.append).create("a", b"1")
    assert store.get("a").tag == tag
    assert said == ["memory:: no answer for 0 s; waiting", said[-1]]
    assert "answers again" in said[-1]


def test_an_object_of_another_writer_is_not_taken_for_ones_own():
    store = MemoryObjects()
    store.create("a", b"1")
    with pytest.raises(ObjectExistsError):
        PatientObjects(store, say=print).create("a", b"1")


def test_an_outage_that_is_too_long_is_an_error():
    times = iter(range(100))
    store = LosingAnswers(99)
    with pytest.raises(StoreUnavailableError):
        PatientObjects(store, say=print, longest=0, clock=lambda: float(next(times))).create("a", b"1")


def test_who_tries_once_sends_no_second_request_to_a_store_that_is_away():
    store = LosingAnswers(1)
    tried = TriedOnce(store)
    with pytest.raises(StoreUnavailableError) as first:
        tried.create("a", b"1")
    with pytest.raises(StoreUnavailableError) as second:
        tried.get("a")
    assert second.value is first.value
    assert store.get("a").content == b"1"


def test_who_tries_once_has_every_answer_of_a_store_that_is_there():
    tried = TriedOnce(MemoryObjects())
    tag = tried.create("a", b"1")
    assert (tried.get("a").content, tried.get_changed("a", tag=tag)) == (b"1", None)
    with pytest.raises(ObjectExistsError):
        tried.create("a", b"2")


@pytest.mark.scale
def test_a_killed_server_is_waited_for(tmp_path):
    with running_seaweed(tmp_path / "weed") as server:
        impatient = S3Objects(
            "s3://lake/a", endpoint=server.endpoint, region="us-east-1", environ=server.environ, patience=0.2
        )
        said: list[str] = []

        def say(sentence: str) -> None:
            said.append(sentence)
            if len(said) == 1:
                server.restart()

        store = PatientObjects(impatient, say=say)
        store.put("kept", b"1")
        server.kill()
        assert store.get("kept").content == b"1"
        assert "s3://lake/a: no answer for" in said[0]
        assert "answers again" in said[-1]
