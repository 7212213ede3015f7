"""Addresses of databases: what is shown of one never holds its password."""

import pytest

from recsys_assets.storage.database_urls import parse_database_url, without_password


@pytest.mark.parametrize("password", ["p", "p@w", "p@w:x", "a@b@c"])
def test_a_password_with_signs_of_the_url_itself_is_not_shown(password):
    url = f"postgresql://shop:{password}@host:5432/shop?table=t"
    found = parse_database_url(url)
    assert found.shown == "postgresql://shop@host:5432/shop"
    assert found.password == password
    assert without_password(url) == "postgresql://shop@host:5432/shop?table=t"


def test_an_address_without_a_user_keeps_its_host_and_port():
    assert parse_database_url("postgresql://host:5432/shop?query=SELECT '@'").shown == (
        "postgresql://host:5432/shop"
    )
