"""Time limits and the like come from the fixtures of tests/http."""
import pytest

pytest.register_assert_rewrite("checkout", "client", "contract", "fcgi", "stack", "worker")

from fixtures import *  # noqa: E402,F401,F403
