"""The signature over the raw body."""

import pytest

from integrations.calcom.signature import is_signed, signature_of
from tests.integrations.calcom import compact, sample

VECTOR = "d93ac8d7fff68bd1d65a3d72749e94b08791a1fc20c742b5b9e9cb1577610bb9"


def test_signature_of_the_published_ping_is_the_known_one() -> None:
    body = compact(sample("ping"))
    assert len(body) == 444
    assert signature_of(body, "test-secret") == VECTOR


@pytest.mark.parametrize(
    ("given", "secrets", "verdict"),
    [
        (VECTOR, ["test-secret"], True),
        # While one secret replaces another, both are valid.
        (VECTOR, ["new-secret", "test-secret"], True),
        (VECTOR, ["new-secret"], False),
        # What comes when nothing was configured at Cal.com.
        ("no-secret-provided", ["test-secret"], False),
        ("", ["test-secret"], False),
        # Lower case is what Cal.com sends.
        (VECTOR.upper(), ["test-secret"], False),
        (VECTOR[:-1], ["test-secret"], False),
        ("é" * 64, ["test-secret"], False),
        (VECTOR, [], False),
    ],
)
def test_signature_is_good_under_one_of_the_secrets_only(given: str, secrets: list[str], verdict: bool) -> None:
    assert is_signed(compact(sample("ping")), given, secrets) is verdict


def test_body_written_anew_is_another_body() -> None:
    assert not is_signed(compact(sample("ping")) + b"\n", VECTOR, ["test-secret"])
