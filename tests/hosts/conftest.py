"""The fixtures of these tests: those of tests/http, and two hosts behind one HAProxy."""
import pytest

pytest.register_assert_rewrite("client", "contract", "front_stack", "hosts", "stack", "worker")

from fixtures import *  # noqa: E402,F401,F403
