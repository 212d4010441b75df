-- Queues a recurring job, once for each of its times however many workers see it come.
--
-- KEYS  1 once of this time, 2 queue
-- ARGV  1 for how many ms the time is remembered, 2 job
-- gives 1, or 0 when another worker was first
if redis.call('EXISTS', KEYS[1]) == 1 then
    return 0
end
redis.call('RPUSH', KEYS[2], ARGV[2])
redis.call('SET', KEYS[1], '1', 'PX', ARGV[1])
return 1
