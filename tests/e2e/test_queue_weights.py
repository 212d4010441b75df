"""Queues by weight: each is the first as often as its weight says, and none starves."""

from peers.process import wait_until


def begun(redis, service, worker, **members):
    """The queues of 100 jobs in the order in which they were called, one at a time."""
    service.define("quote", "/${n}", ["n"])
    for queue in "ab":
        redis.push(*({"service": "quote", "channel": f"{queue}{n}", "params": {"n": queue}}
                     for n in range(100)), queue=queue)  # fmt: skip
    daemon = worker(queues=["a", "b"], max_in_flight=1, **members)
    wait_until(lambda: len(daemon.lines("job.calling")) >= 100, 20)
    return [line["channel"][0] for line in daemon.lines("job.calling")[:100]]


def test_strict(redis, service, worker):
    assert begun(redis, service, worker) == ["a"] * 100


def test_weighted(redis, service, worker):
    order = begun(redis, service, worker, weights=[3, 1])
    assert 50 <= order.count("a") <= 95  # 75, and more than five deviations around it


def test_a_weight_for_each(redis, service, worker):
    daemon = worker(queues=["a", "b"], weights=[1], wait=False)
    assert daemon.wait() == 78 and "expected one for each" in daemon.log
    daemon = worker(queues=["a"], weights=[0], wait=False)
    assert daemon.wait() == 78 and "a number from 1 to 1000" in daemon.log
