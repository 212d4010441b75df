-- Takes from workers whose lease lapsed what they held and queues it again, one delivery
-- more on its count. What was delivered too often goes into the hands of the worker that
-- asks, marked poisoned: it tells the job's channel and buries it, and if it dies over
-- that, the next one does.
--
-- KEYS  1 workers, 2 held of the worker that asks
-- ARGV  1 worker that asks, 2 what held keys start with, 3 what retry keys start with,
--       4 deliveries at which a job is poisoned, 5 number of the first claim, 6 how many
--       jobs at most
-- gives {now in ms, jobs queued again, 1 when there is more to reap, number, poisoned
--        envelope, number, poisoned envelope, …}
-- fails with FENCED when the lease of the worker that asks lapsed
--
-- The keys of other workers and queues are made from ARGV, since their names are only
-- known here; they share the prefix, and so the hash slot, of KEYS.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lease = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not lease or tonumber(lease) <= now then
    return redis.error_reply('FENCED the lease of this worker lapsed')
end

local limit, number, room = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local answer = {now, 0, 0}

local function take(id, claim, envelope)
    local line_end = string.find(envelope, '\n', 1, true) or #envelope + 1
    local fields = string.sub(envelope, 4, line_end - 1)
    local deliveries = tonumber(string.match(fields, ' deliveries=(%d+)') or 0) + 1
    fields = string.gsub(fields, ' deliveries=[^ ]*', '')
    fields = fields .. string.format(' deliveries=%.0f', deliveries)
    local poisoned = string.find(fields, ' reason=poisoned', 1, true)
    if deliveries >= limit or poisoned then
        if not poisoned then
            fields = fields .. ' reason=poisoned'
        end
        envelope = 'rb1' .. fields .. string.sub(envelope, line_end)
        redis.call('HSET', KEYS[2], string.format('%.0f', number), envelope)
        answer[#answer + 1] = number
        answer[#answer + 1] = envelope
        number = number + 1
    else
        envelope = 'rb1' .. fields .. string.sub(envelope, line_end)
        local queue = string.match(fields, ' queue=([^ ]+)') or 'default'
        redis.call('RPUSH', ARGV[3] .. queue, envelope)
        answer[2] = answer[2] + 1
    end
    redis.call('HDEL', ARGV[2] .. id, claim)
end

local lapsed = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
for _, id in ipairs(lapsed) do
    local held = redis.call('HRANDFIELD', ARGV[2] .. id, room, 'WITHVALUES')
    local claims = {}
    for i = 1, #held, 2 do
        claims[#claims + 1] = {held[i], held[i + 1]}
    end
    table.sort(claims, function(a, b)
        return (tonumber(a[1]) or 0) < (tonumber(b[1]) or 0)
    end)
    for _, claim in ipairs(claims) do
        take(id, claim[1], claim[2])
    end
    room = room - #claims
    if redis.call('EXISTS', ARGV[2] .. id) == 0 then
        redis.call('ZREM', KEYS[1], id)
    end
    if room <= 0 then
        break
    end
end
if redis.call('ZCOUNT', KEYS[1], '-inf', string.format('%.0f', now)) > 0 then
    answer[3] = 1
end
return answer
