-- Forgets jobs that are done: their terminal events are out, nobody needs them again.
--
-- KEYS  1 workers, 2 held of this worker
-- ARGV  1 worker, then the numbers of the claims
-- gives how many were still held
-- fails with FENCED when the lease lapsed, after it has forgotten what it could: a job
-- that is done needs no second call, whoever asks
local removed = redis.call('HDEL', KEYS[2], unpack(ARGV, 2))
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lease = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not lease or tonumber(lease) <= now then
    return redis.error_reply('FENCED the lease of this worker lapsed')
end
return removed
