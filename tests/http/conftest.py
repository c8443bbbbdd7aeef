"""The fixtures of these tests live in fixtures.py, where tests/clients finds them too."""
import pytest

pytest.register_assert_rewrite("client", "contract", "fcgi", "stack", "worker")

from fixtures import *  # noqa: E402,F401,F403
