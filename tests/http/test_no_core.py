"""A worker in production leaves no image of its memory, in which keys and people's words are."""
import resource


def test_in_production_no_core_is_written(stack):
    assert resource.prlimit(stack.worker.pid, resource.RLIMIT_CORE) == (1, 1)      # not even to a program that collects them


def test_in_development_it_may_be(start_stack):
    stack = start_stack(BAKAME_ENV="development")
    assert resource.prlimit(stack.worker.pid, resource.RLIMIT_CORE) == resource.getrlimit(resource.RLIMIT_CORE)
