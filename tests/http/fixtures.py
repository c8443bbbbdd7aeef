"""fixtures.py - the fixtures of all black-box tests."""
import signal

import pytest

from collector import Collector
from provider_process import Providers
from postgres import Cluster
from redis_server import RedisServer
from script import MockModel
from stack import Stack
from worker import has_sanitizers

# Of any test that does not say that it needs more: what waits fails before, and says for what.
LIMIT_SECONDS = 300


@pytest.fixture(scope="session")
def slowness():
    """By how much longer things may take in the build under test."""
    return 4 if has_sanitizers() else 1


@pytest.fixture(autouse=True)
def time_limit(request, slowness):
    """No test goes on for ever: past its limit it fails where it stands."""
    marker = request.node.get_closest_marker("limit")
    seconds = max(marker.args[0] if marker else 0, LIMIT_SECONDS) * slowness

    def out_of_time(*_):
        raise TimeoutError(f"this test took more than {seconds} s")
    previous = signal.signal(signal.SIGALRM, out_of_time)
    signal.alarm(seconds)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """One mock model for all tests; a script belongs to one test."""
    mock = MockModel(tmp_path_factory.mktemp("model") / "model.err")
    yield mock
    assert mock.stop() == ""


@pytest.fixture(scope="session")
def providers(tmp_path_factory):
    """The tools' providers, for all tests; a site belongs to one test."""
    mock = Providers(tmp_path_factory.mktemp("providers") / "providers.err")
    yield mock
    assert mock.stop() == ""


@pytest.fixture
def redis(tmp_path):
    """A Redis of the test's own."""
    server = RedisServer(tmp_path / "redis")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def cluster():
    """One PostgreSQL for all tests; each makes a database of its own in it."""
    cluster = Cluster()
    yield cluster
    cluster.close()


@pytest.fixture
def database(cluster):
    """A database of this test's, with our schema."""
    return cluster.new_database()


@pytest.fixture
def start_stack(tmp_path_factory, model):
    """Start stacks with settings of their own: start_stack(workers=2, PING_SECONDS=1)."""
    stacks = []

    def start(upstream=model, **options):
        stacks.append(Stack(tmp_path_factory.mktemp("stack"), upstream, **options))
        return stacks[-1]
    yield start
    faults = []
    for stack in stacks:
        try:
            stack.close()
        except AssertionError as fault:
            faults.append(str(fault))
    assert not faults, "\n".join(faults)


@pytest.fixture
def collector():
    """(address, batches)"""
    server = Collector()
    yield server.address, server.batches
    server.close()


@pytest.fixture
def stack(start_stack):
    """One worker with the usual settings."""
    return start_stack()


@pytest.fixture(scope="module")
def tools_stack(tmp_path_factory, model, providers):
    """One worker whose tools reach providers that are well, for all tests of a file."""
    stack = Stack(tmp_path_factory.mktemp("stack"), model, **providers.settings())
    yield stack
    stack.close()


@pytest.fixture(scope="module")
def shared_stack(tmp_path_factory, model):
    """One worker for all tests of a file that leave it as they found it."""
    stack = Stack(tmp_path_factory.mktemp("stack"), model)
    yield stack
    stack.close()
