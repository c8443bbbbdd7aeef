"""The fixtures of these tests: those of tests/http, and stacks behind each front."""
import pytest

pytest.register_assert_rewrite("client", "contract", "fcgi", "front_stack", "stack", "worker")

from fixtures import *  # noqa: E402,F401,F403
from front_stack import FRONTS, AnyStatus, FrontStack  # noqa: E402


@pytest.fixture(scope="module", params=FRONTS)
def site(request, model):
    """A worker behind each front in turn, set up by the files that are shipped."""
    stack = FrontStack(request.param, model)
    yield stack
    stack.close()


@pytest.fixture(scope="module", params=FRONTS)
def scripted(request):
    """Each front before an application that answers as it is told."""
    stack = AnyStatus(request.param)
    yield stack
    stack.close()


@pytest.fixture
def start_site(model):
    """Start sites of one's own: start_site("nginx", workers=2, DRAIN_SECONDS=1)."""
    stacks = []

    def start(front, **options):
        stacks.append(FrontStack(front, options.pop("upstream", model), **options))
        return stacks[-1]
    yield start
    for stack in stacks:
        stack.close()
