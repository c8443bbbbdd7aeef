"""What is asked a thousand times leaves nothing behind in a worker."""
import pytest

from people import Person, settings
from worker import has_sanitizers

WARM_UP, TIMES, GROWTH_MAX = 200, 1000, 400 * 1024


@pytest.mark.limit(120)
@pytest.mark.skipif(has_sanitizers(), reason="memory of an ASan build says nothing")
def test_reads_of_the_database_leave_nothing_behind(start_stack, database):
    stack = start_stack(**settings(database))
    person = Person(stack).sign_up()

    def ask(times):
        for _ in range(times):
            exchange = person.send("GET", "/api/auth/me")
            assert exchange.status == 200 and exchange.read()
            exchange.close()
        stack.exchanges.clear()
    ask(WARM_UP)
    before = stack.worker.memory()
    ask(TIMES)
    assert stack.worker.memory() - before < GROWTH_MAX
