"""What the tests of policies have in common."""

from .process import wait_until


def job(service, channel, **more):
    return {"service": service, "channel": channel, "params": {}, **more}


def ended(redis, channel, timeout=10.0):
    """The terminal event of the channel, waited for; there is exactly one."""
    wait_until(lambda: redis.terminal(channel), timeout, f"the end of {channel}")
    (event,) = redis.terminal(channel)
    return event


def all_ended(redis, channels, timeout=20.0):
    return [ended(redis, channel, timeout) for channel in channels]


def kinds(redis, channel):
    return [event["event"] for event in redis.events(channel)]


def starts(service):
    """When the calls came, in order, in seconds."""
    return sorted(call["at"] for call in service.book()["calls"])
