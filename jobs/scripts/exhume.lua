-- Takes a job from among the dead, and where a list is named queues it again.
--
-- KEYS  1 dead, 2 retry list (or none)
-- ARGV  1 what it is among the dead, 2 what to queue
-- gives 1, or 0 when it is not there any more
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then
    return 0
end
if KEYS[2] then
    redis.call('RPUSH', KEYS[2], ARGV[2])
end
return redis.call('ZREM', KEYS[1], ARGV[1])
