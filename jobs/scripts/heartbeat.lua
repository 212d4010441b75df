-- Renews a worker's lease, or grants a new worker its first one.
--
-- KEYS  1 workers, 2 due, 3 held of this worker
-- ARGV  1 worker, 2 length of a lease in ms, 3 "1" for a new worker
-- gives {now in ms, time of the next due job or -1, live workers, lapsed workers, end of
--        the lease that ends first among the other live workers or -1, jobs held}
-- fails with FENCED when the lease lapsed: what the worker held belongs to others now
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[3] ~= '1' then
    local lease = redis.call('ZSCORE', KEYS[1], ARGV[1])
    if not lease or tonumber(lease) <= now then
        return redis.error_reply('FENCED the lease of this worker lapsed')
    end
end

redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[2]), ARGV[1])

local now_text = string.format('%.0f', now)
local lapsed = redis.call('ZCOUNT', KEYS[1], '-inf', now_text)
local live = redis.call('ZCARD', KEYS[1]) - lapsed
local first = -1
local soonest = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now_text, '+inf', 'WITHSCORES',
                           'LIMIT', 0, 2)
for i = 1, #soonest, 2 do
    if soonest[i] ~= ARGV[1] and first < 0 then
        first = tonumber(soonest[i + 1])
    end
end
local due = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
local next_due = due[2] and tonumber(due[2]) or -1
return {now, next_due, live, lapsed, first, redis.call('HLEN', KEYS[3])}
