-- Queues a job now that waits for its time: due → retry.
--
-- KEYS  1 due
-- ARGV  1 what retry keys start with, 2 envelope
-- gives 1, or 0 when it does not wait any more
--
-- The retry key is made from ARGV, since the envelope names its queue; it shares the
-- prefix, and so the hash slot, of KEYS.
if not redis.call('ZSCORE', KEYS[1], ARGV[2]) then
    return 0
end
local fields = string.match(ARGV[2], '^rb1([^\n]*)') or ''
local queue = string.match(fields, ' queue=([^ ]+)') or 'default'
redis.call('RPUSH', ARGV[1] .. queue, ARGV[2])
return redis.call('ZREM', KEYS[1], ARGV[2])
