"""pool_driver.py - the pool of a worker without the worker: see tests/unit/pg_driver.c."""
import itertools
import json
import queue
import subprocess
import threading

import process
from worker import BUILD, SANITIZER_REPORTS, environment, require_build

PROGRAM = BUILD / "tests" / "unit" / "pg_driver"
ANSWER_SECONDS = 120


class Driver:
    """One process with a pool.  ask() waits for the answer; begin() and end() let several run at once."""

    def __init__(self, url, pool=2, timeout_ms=60000, **settings):
        require_build(PROGRAM)
        self.numbers = itertools.count(1)
        self.answers = {}
        self.process = subprocess.Popen(
            [str(PROGRAM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=environment(BAKAME_ENV="development", DATABASE_URL=url, DATABASE_POOL=pool, DATABASE_TIMEOUT_MS=timeout_ms,
                            **{"BREAKER_DATABASE": "off", **settings}), preexec_fn=process.end_with_parent)
        self.errors = []
        threading.Thread(target=self._read, daemon=True).start()
        self.error_reader = threading.Thread(target=lambda: self.errors.extend(self.process.stderr), daemon=True)
        self.error_reader.start()

    def _read(self):
        for line in self.process.stdout:
            answer = json.loads(line)
            self.answers.setdefault(answer["id"], queue.Queue()).put(answer)

    def _send(self, order):
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def begin(self, *statements, **options):
        """Statements are SQL, or lists of SQL and its values."""
        number = str(next(self.numbers))
        self.answers[number] = queue.Queue()
        self._send({"id": number, "run": [[one] if isinstance(one, str) else one for one in statements], **options})
        return number

    def end(self, number, seconds=ANSWER_SECONDS):
        return self.answers[number].get(timeout=seconds)

    def ask(self, *statements, **options):
        return self.end(self.begin(*statements, **options))

    def value(self, *statements, **options):
        """The first column of the first row of the last statement."""
        answer = self.ask(*statements, **options)
        assert "rows" in answer, answer
        return answer["rows"][-1][0][0]

    def cancel(self, number):
        self._send({"cancel": number})
        return self.end(number)

    def view(self):
        self.answers.setdefault("view", queue.Queue())
        self._send({"view": True})
        return self.answers["view"].get(timeout=ANSWER_SECONDS)

    def close(self):
        self.process.stdin.close()
        status = self.process.wait(60)
        self.error_reader.join(60)
        report = "".join(self.errors)
        assert not any(words in report for words in SANITIZER_REPORTS), report
        assert status == 0, report
