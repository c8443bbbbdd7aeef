"""The fixtures of these tests: those of tests/http."""
import pytest

pytest.register_assert_rewrite("machine", "tree_machine")

from fixtures import *  # noqa: E402,F401,F403
