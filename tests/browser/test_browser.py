"""The page in a real Chromium: each test of *.test.js counts as one here.

A file runs once, with `node --test`, before workers of its own; what it said of each of its tests is
looked up after.  demo.test.js talks to the demo model, page_*.test.js to a mock of the whole API that they
start themselves (mock_api.mjs), the others to the scriptable model; whole.test.js with accounts.
"""
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

import node_tests
from page_front import CHECKOUT, DemoModel, PageFront
from people import PASSWORD, Person, settings
from stack import MODEL, Stack

HERE = Path(__file__).parent
ARTEFACTS = CHECKOUT / ".test/artefacts/browser"
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
CASES = node_tests.cases_in(HERE)
FILE_SECONDS = 1500            # a machine that does ten other things may need them
ADMIN = "admin@example.org"


@pytest.fixture(scope="module")
def demo_model():
    demo = DemoModel()
    yield demo
    demo.stop()


@pytest.fixture(scope="module")
def serve(tmp_path_factory, model, demo_model, cluster, providers):
    """Gives (Stack, PageFront) for a file of tests."""
    stacks, fronts = [], []

    def start(file):
        if file == "whole.test.js":
            database = cluster.new_database()
            stack = Stack(tmp_path_factory.mktemp("stack"), model,
                          **settings(database, UPLOAD_DIR=tmp_path_factory.mktemp("uploads"), UPLOAD_SEND="stream",
                                     RATE_LIMIT_USER="5000/60"))
            Person(stack, ADMIN).sign_up()
            database.sql(f"update users set role = 'admin' where email = '{ADMIN}'")
        elif file == "demo.test.js":
            stack = Stack(tmp_path_factory.mktemp("stack"), demo_model, OPENAI_MODEL=demo_model.name)
        else:
            stack = Stack(tmp_path_factory.mktemp("stack"), model, **providers.settings(TOOL_TIMEOUT_MS=60000))
        stacks.append(stack)
        fronts.append(PageFront(stack.directory / "page", stack.socket_path))
        return stack, fronts[-1]
    yield start
    for front in fronts:
        front.stop()
    for stack in stacks:
        stack.close()


@pytest.fixture(scope="module")
def results_of(serve, model):
    """Gives ({test name: passed}, whole output) of a file, run at first asking."""
    node_tests.require_node(HERE)
    subprocess.run([CHECKOUT / "web/make-dist"], check=True)
    assert shutil.which(CHROMIUM), "Chromium is missing: install the package chromium, or set CHROMIUM"
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    done = {}

    def run(file):
        if file not in done:
            env = {"CHROMIUM": CHROMIUM, "ARTEFACTS": str(ARTEFACTS), "ADMIN": ADMIN, "ADMIN_PASSWORD": PASSWORD}
            if file.startswith("page_"):
                done[file] = node_tests.run_file(HERE, file, env, FILE_SECONDS)
                return done[file]
            stack, front = serve(file)
            env |= {"PAGE_URL": front.url, "MOCK_URL": model.url, "MODEL": MODEL, "WORKER_PID": str(stack.worker.pid)}
            done[file] = node_tests.run_file(HERE, file, env, FILE_SECONDS)
            expect_killed_workers(stack)
        return done[file]
    return run


def expect_killed_workers(stack):
    """Nobody but a test kills: a worker that failed ends with another signal or status."""
    for worker in stack.workers:
        if worker.process.poll() == -signal.SIGKILL:
            worker.kill()


@pytest.mark.limit(FILE_SECONDS + 60)
@pytest.mark.parametrize("file,name", [pytest.param(*case, id=case[1], marks=pytest.mark.xdist_group(case[0])) for case in CASES])
def test_page(results_of, file, name):
    results, output = results_of(file)
    assert results.get(name), output
