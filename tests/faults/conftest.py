"""The house of house.py, one for all tests of a file."""
import pytest

pytest.register_assert_rewrite("client", "contract", "disturbed", "house", "load", "stack", "worker")

from fixtures import *  # noqa: E402,F401,F403
from house import House  # noqa: E402


@pytest.fixture(scope="module")
def house(tmp_path_factory, model, providers):
    built = House(tmp_path_factory.mktemp("house"), model, providers)
    yield built
    built.close()


@pytest.fixture
def well(house):
    """The house, before and after which all is well."""
    house.wait_well()
    yield house
    for relay in house.relays.values():
        relay.behave("pass")
    house.wait_well()
