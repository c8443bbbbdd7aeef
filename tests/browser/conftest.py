"""The service under test is started by the fixtures of tests/http."""
import pytest

pytest.register_assert_rewrite("client", "contract", "fcgi", "stack", "worker")

from fixtures import *  # noqa: E402,F401,F403
