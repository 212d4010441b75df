-- Notes that a job is cancelled, and tells the workers, one of which may have it in hand.
-- A note outlives the job's way through any queue: it is kept by time, up to a number and
-- an age, and an id that was cancelled stays so for as long.
--
-- KEYS  1 cancelled
-- ARGV  1 id of the job, 2 how many notes are kept, 3 for how many ms, 4 pub/sub name
-- gives how many workers were told
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('(%.0f', now - ARGV[3]))
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return redis.call('PUBLISH', ARGV[4], ARGV[1])
