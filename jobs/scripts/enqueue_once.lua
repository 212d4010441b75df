-- Queues a job unless that was asked for before under the same key.
--
-- KEYS  1 what is remembered of the request, 2 the queue
-- ARGV  1 what is to be remembered, 2 job, 3 for how many ms
-- gives what is remembered: ARGV[1] when the job was queued by this call, else what the
--       first one gave
local known = redis.call('GET', KEYS[1])
if known then
    return known
end
redis.call('RPUSH', KEYS[2], ARGV[2])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return ARGV[1]
