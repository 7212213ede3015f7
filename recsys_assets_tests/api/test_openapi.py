"""The live OpenAPI document against the running application, by schemathesis with all its checks."""

from datetime import UTC, datetime

import pytest
import schemathesis
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode

from recsys_assets.api.app import create_app
from recsys_assets.api.http.auth import add_key
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.conftest import NOW

OPERATIONS = 39
"""Number of operations in the document; it falls where a route loses its documentation."""
KNOWN_TO_THE_HOME = ("/v1/events", "/v1/impressions", "/v1/users/merge")
LISTS = {"exclude"}
"""Parameters of a query that take several values."""
# events are not stamped in the future, which a schema cannot say
schemathesis.openapi.format(
    "date-time",
    st.datetimes(datetime(2, 1, 1, tzinfo=UTC).replace(tzinfo=None), NOW.replace(tzinfo=None)).map(
        lambda found: f"{found.isoformat()}Z"
    ),
)
QUIETLY = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]


@pytest.fixture(scope="module")
def secret(home: Home) -> str:
    return add_key(home, name="tests", scopes=["admin"], now=NOW)[1]


@pytest.fixture(scope="module")
def document(home: Home) -> schemathesis.BaseSchema:
    rejected = {"expected-statuses": ["400", "401", "403", "404", "405", "413", "414", "415", "429"]}
    # kinds, answers and ids that mean nobody (`None`) are known to the home alone: a body may fit and be rejected
    accepted = {"expected-statuses": ["2xx", "400", "401", "403", "404", "409", "429"]}
    of_home = [
        {"include-path": path, "checks": {"positive_data_acceptance": accepted}} for path in KNOWN_TO_THE_HOME
    ]
    config = schemathesis.Config.from_dict(
        {"checks": {"negative_data_rejection": rejected}, "operations": of_home}
    )
    return schemathesis.openapi.from_asgi("/schema/openapi.json", create_app(home), config=config)


def validate_every_operation(
    document: schemathesis.BaseSchema, secret: str, *, mode: GenerationMode, cases: int
) -> None:
    operations = [result.ok() for result in document.get_all_operations()]
    assert len(operations) == OPERATIONS
    for operation in operations:
        if mode is GenerationMode.NEGATIVE and not (operation.query or operation.body):
            continue  # there is nothing to get wrong
        if operation.path == "/v1/live":
            continue  # its answer does not end; it has tests of its own

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=cases,
            deadline=None,
            suppress_health_check=QUIETLY,
            database=None,
            derandomize=True,
        )
        def answers_as_documented(case: schemathesis.Case) -> None:
            # of a single value given twice the last one counts, which a schema cannot say
            assume(
                not any(isinstance(value, list) for name, value in case.query.items() if name not in LISTS)
            )
            if (
                mode is GenerationMode.POSITIVE
            ):  # only an answer's own `next` is a token, which a schema cannot say
                case.query.pop("after", None)
                if isinstance(case.body, dict):
                    case.body.pop("after", None)
            case.call_and_validate(headers={"X-API-Key": secret})

        answers_as_documented()


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_every_operation_answers_as_documented(
    document: schemathesis.BaseSchema, secret: str, mode: GenerationMode
) -> None:
    validate_every_operation(document, secret, mode=mode, cases=6)


@pytest.mark.slow
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_every_operation_answers_as_documented_in_thousands_of_cases(
    document: schemathesis.BaseSchema, secret: str, mode: GenerationMode
) -> None:
    validate_every_operation(document, secret, mode=mode, cases=80)
