"""Real client libraries: each test of *.test.js counts as one here.

A file runs once; what it said of each of its tests is looked up after.
"""
from pathlib import Path

import pytest

import node_tests
from ports import hold_port, port_of
from stack import MODEL
from worker import CONTROL_PROGRAM

HERE = Path(__file__).parent
CASES = node_tests.cases_in(HERE)
FILE_SECONDS = 600


@pytest.fixture(scope="module")
def results_of(shared_stack, model):
    """Gives ({test name: passed}, whole output) of a file, run at first asking."""
    node_tests.require_node(HERE)
    done = {}
    hold = hold_port()

    def run(file):
        if file not in done:
            env = {"BASE_URL": shared_stack.url + "/v1", "MOCK_URL": model.url, "MODEL": MODEL, "API_KEY": "unused",
                   "BAKAMECTL": str(CONTROL_PROGRAM), "FREE_PORT": str(port_of(hold))}
            done[file] = node_tests.run_file(HERE, file, env, FILE_SECONDS)
        return done[file]
    yield run
    hold.close()


@pytest.mark.limit(FILE_SECONDS + 60)
@pytest.mark.parametrize("file,name", CASES, ids=[name for _, name in CASES])
def test_client(results_of, file, name):
    results, output = results_of(file)
    assert results.get(name), output
