"""Work as JSON, for another program."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.errors import LauncherError, TrainingDataError
from recsys_assets.launching.named_work import NamedWork, as_json, result_of
from recsys_assets.launching.ray_jobs import _packed, _unpacked, error_of, main
from recsys_assets_tests.launching.tried_work import Counted, marked, rejected, squared


class Cluster:
    """Runs tasks here, as a driver's cluster does elsewhere."""

    def map(self, work, tasks, *, tries=3):
        assert tries == 2
        yield from ((place, work(task)) for place, task in enumerate(tasks))

    def gang(self, work, task, *, size):
        raise NotImplementedError


def test_a_function_and_its_tasks_survive_the_way():
    tasks = [Counted(number=n, folder="/a") for n in range(3)]
    back = _unpacked(_packed(NamedWork.of(marked, tasks)))
    assert back.found() is marked
    assert back.decoded() == tasks
    assert result_of(marked, as_json(7)) == 7


@given(st.lists(st.text()))
def test_ray_finds_nothing_to_expand_in_work(tasks):
    assert "$" not in _packed(NamedWork.of(squared, tasks))


def test_work_that_is_too_long_for_a_variable_is_rejected():
    tasks = [f"{n * 7919 % 1_000_003:x}" * 9 for n in range(30_000)]
    with pytest.raises(LauncherError, match=r"squared: its 30000 tasks are [\d,]+ bytes"):
        _packed(NamedWork.of(squared, tasks))


def test_a_value_without_a_json_form_is_rejected():
    with pytest.raises(LauncherError, match="object: cannot be sent to another program"):
        as_json(object())


def test_a_driver_prints_each_result_and_ends_well(capsys):
    assert main(NamedWork.of(squared, [2, 3]), Cluster(), tries=2) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.startswith("@recsys ") for line in lines] == [True, True]


def test_a_driver_prints_the_error_that_it_met(capsys):
    assert main(NamedWork.of(rejected, [2]), Cluster(), tries=2) == 1
    assert '"failed":"TrainingDataError"' in capsys.readouterr().out
    assert isinstance(error_of("TrainingDataError", "no pair"), TrainingDataError)
