"""Results for a page from a server that is away, or rejects: an error after a moment, which names the server."""

import pytest

from recsys_assets.errors import DatabaseUnavailableError
from recsys_assets.quality.read_results import all_accounts, last_days, last_troubled
from recsys_assets_tests.quality.test_ledgers import schema_of


@pytest.mark.parametrize("read", [lambda place: last_days(place, days=7), all_accounts])
def test_a_server_that_is_away_is_an_error_of_now(tmp_path, read):
    place = schema_of("postgresql://ada:secret@127.0.0.1:1/shop", tmp_path, name="shop")
    with pytest.raises(
        DatabaseUnavailableError, match=r"postgres 127\.0\.0\.1:1/shop, schema shop: no answer"
    ) as raised:
        read(place)
    assert "secret" not in str(raised.value)


def test_a_file_that_is_not_there_has_no_results(tmp_path):
    assert last_days(tmp_path / "quality.sqlite", days=7) == []
    assert last_troubled(tmp_path / "quality.sqlite", days=7) == []
    assert not (tmp_path / "quality.sqlite").exists()
