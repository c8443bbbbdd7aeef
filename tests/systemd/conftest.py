"""The fixtures of these tests: those of tests/http, and a booted machine."""
import pytest

pytest.register_assert_rewrite("client", "contract", "machine", "stack", "worker")

from fixtures import *  # noqa: E402,F401,F403
from machine import Machine, Unavailable  # noqa: E402
from machine_stack import MachineStack  # noqa: E402


def boot(model, directory, **options):
    try:
        return MachineStack(model, directory, **options)
    except Unavailable as why:
        pytest.skip(str(why))


@pytest.fixture(scope="module")
def machine(model, tmp_path_factory):
    """Two workers under systemd, behind an NGINX outside."""
    stack = boot(model, tmp_path_factory.mktemp("machine"))
    yield stack
    stack.close()


@pytest.fixture
def boot_machine(model, tmp_path_factory):
    stacks = []

    def start(**options):
        stacks.append(boot(model, tmp_path_factory.mktemp("machine"), **options))
        return stacks[-1]
    yield start
    for stack in stacks:
        stack.close()
