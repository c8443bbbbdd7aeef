"""No message that was accepted is lost, doubled or out of order, whatever is stopped and killed meanwhile."""
from disturbed import ACCEPTED_AT_LEAST, assert_stored_once_in_order, disturbed_chats
from redis_server import RedisServer


def test_each_accepted_message_is_stored_once_in_order(start_stack, database, tmp_path):
    redis = RedisServer(tmp_path / "redis")
    try:
        chatters, disturber = disturbed_chats(start_stack, database, redis, tmp_path, 480)
    finally:
        redis.stop()
    assert disturber.cuts > 0 and disturber.kills > 0
    assert assert_stored_once_in_order(database, chatters) >= ACCEPTED_AT_LEAST
