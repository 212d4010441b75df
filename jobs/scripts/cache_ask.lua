-- Is the answer to a question known, and if not, who asks the service?
--
-- KEYS  1 cache of the question
-- ARGV  1 token of who asks here, 2 for how many ms at most it will be silent while it
--       asks the service ('0': it asks whether or not others do; 'stale': it does not ask,
--       and takes an old result as well), 3 token of the one whose answer is awaited or ''
-- gives {1, kind, age in ms, answer, 1 when it is the awaited one}
--       {2}             nobody knows it: the caller asks the service
--       {3, token, ms}  that one asks it, and will say so again within ms
--
-- The hash:
--   kind, answer, at, by        what is kept, since when, and the token of who asked
--   fresh, last                 until when it is given: at all, when the service fails
--   told_kind, told_answer, told_at, told_by  the same, for those alone who wait for it
--   owner, lock                 who asks the service, and until when that is believed
--   waited                      owner for whom somebody waits
local key, token, silence, awaited = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function age(at)
    return math.max(0, now - at)
end

local h = redis.call('HMGET', key, 'at', 'by', 'fresh', 'last', 'told_at', 'told_by', 'owner',
                     'lock', 'kind')
local at, by, fresh, last, told_at, told_by, owner, lock, kind = unpack(h)
if at and (tonumber(fresh) > now or (awaited ~= '' and by == awaited) or
           (silence == 'stale' and kind == 'done' and tonumber(last) > now)) then
    return {1, kind, age(at), redis.call('HGET', key, 'answer'),
            (awaited ~= '' and by == awaited) and 1 or 0}
end
if told_at and awaited ~= '' and told_by == awaited then
    local told = redis.call('HMGET', key, 'told_kind', 'told_answer')
    return {1, told[1], age(told_at), told[2], 1}
end
if silence == '0' or silence == 'stale' then
    return {2}
end
if owner and owner ~= token and tonumber(lock) > now then
    redis.call('HSET', key, 'waited', owner)
    return {3, owner, tonumber(lock) - now}
end
redis.call('HSET', key, 'owner', token, 'lock', string.format('%.0f', now + silence))
if redis.call('PTTL', key) < tonumber(silence) then
    redis.call('PEXPIRE', key, silence)
end
return {2}
