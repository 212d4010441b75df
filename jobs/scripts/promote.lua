-- Queues the jobs whose time has come: due → retry.
--
-- KEYS  1 due
-- ARGV  1 what retry keys start with, 2 how many at most
-- gives {now in ms, jobs queued, time of the next due job or -1}
--
-- Retry keys are made from ARGV, since an envelope names its queue; they share the
-- prefix, and so the hash slot, of KEYS.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local ready = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now), 'LIMIT',
                         0, tonumber(ARGV[2]))
for _, envelope in ipairs(ready) do
    local fields = string.match(envelope, '^rb1([^\n]*)') or ''
    local queue = string.match(fields, ' queue=([^ ]+)') or 'default'
    redis.call('RPUSH', ARGV[1] .. queue, envelope)
    redis.call('ZREM', KEYS[1], envelope)
end
local due = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return {now, #ready, due[2] and tonumber(due[2]) or -1}
