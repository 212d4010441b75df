-- Who asked a service says what came of it, and does not ask any more.
--
-- KEYS  1 cache of the question
-- ARGV  1 its token, 2 kind ('done'; else what failed; '': nothing came of it), 3 answer,
--       4 for how many ms it is kept (0: not at all), 5 and how much longer for when the
--       service fails, 6 for how many ms it is there for those who wait for it now
-- gives 1 when it was stored
--
-- The hash is that of cache_ask.lua.
local key, token, kind, ttl = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local owner, waited = unpack(redis.call('HMGET', key, 'owner', 'waited'))

local function keep_for(ms)
    if redis.call('PTTL', key) < ms then
        redis.call('PEXPIRE', key, string.format('%.0f', ms))
    end
end

local function write(ms)
    return string.format('%.0f', ms)
end

if owner == token then
    redis.call('HDEL', key, 'owner', 'lock', 'waited')
end
if kind == '' or (ttl == 0 and waited ~= token) then
    return 0
end
if ttl > 0 then
    redis.call('HSET', key, 'kind', kind, 'answer', ARGV[3], 'at', write(now), 'by', token,
               'fresh', write(now + ttl), 'last', write(now + ttl + ARGV[5]))
    redis.call('HDEL', key, 'told_kind', 'told_answer', 'told_at', 'told_by')
    redis.call('PEXPIRE', key, write(math.max(ttl + ARGV[5], tonumber(ARGV[6]))))
else
    redis.call('HSET', key, 'told_kind', kind, 'told_answer', ARGV[3], 'told_at', write(now), 'told_by',
               token)
    keep_for(tonumber(ARGV[6]))
end
return 1
