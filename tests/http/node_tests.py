"""node_tests.py - tests written for node:test, each of which counts as one of pytest's."""
import os
import re
import shutil
import signal
import subprocess

NAME = re.compile(r"^test\('([^']+)'", re.MULTILINE)
RESULT = re.compile(r"^\s*(ok|not ok) \d+ - (.*?)(?: # .*)?$", re.MULTILINE)


def cases_in(directory):
    """(file, name of the test) of every *.test.js in the directory."""
    return [(file.name, name) for file in sorted(directory.glob("*.test.js"))
            for name in NAME.findall(file.read_text())]


def require_node(directory):
    assert shutil.which("node"), "node is missing: install the package nodejs"
    assert (directory / "node_modules").is_dir(), f"libraries are missing: run npm ci in {directory}"


def run_file(directory, file, env, seconds):
    """({test name: passed}, whole output); whatever it started is gone when this returns or raises."""
    node = subprocess.Popen(["node", "--test", "--test-reporter=tap", file], cwd=directory,
                            env={**os.environ, **env}, text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, start_new_session=True)
    try:
        output = node.communicate(timeout=seconds)[0]
    finally:
        if node.poll() is None:
            os.killpg(node.pid, signal.SIGTERM)
            node.wait(60)
    return {name: word == "ok" for word, name in RESULT.findall(output)}, output
