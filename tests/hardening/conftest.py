"""Studies of a fake family whose workers are forks of the test, so that hundreds of them can be
killed in minutes.
"""

import pytest

from tests.postgres import postgres_server, postgres_url
from tests.study.conftest import tiny_toml
from tests.study.processes import study_in

__all__ = ["postgres_server", "postgres_url", "study_in", "tiny_toml"]


def pytest_collection_modifyitems(items):
    """Every test of this folder."""
    for item in items:
        if "tests/hardening/" in item.path.as_posix():
            item.add_marker(pytest.mark.hardening)
