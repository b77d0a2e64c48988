"""What all tests of the web layer share."""

import pytest


@pytest.fixture(autouse=True)
def patient(patient_store: None) -> None:
    """A store that is away refuses connections here; none is slow on purpose."""
