-- Puts one event out: into the channel's stream, and to those who hear it now.
--
-- KEYS  1 stream of the channel, 2 its meta hash, 3 (may be missing) where the id of
--       what is published only once is remembered
-- ARGV  1 event (JSON), 2 job or '', 3 '1' when the event is terminal, 4 how many events
--       the stream keeps, 5 for how many ms after the last one, 6 pub/sub name,
--       7 with KEYS[3]: for how many ms
-- gives {id, receivers}, or {id of the job's terminal event} when that was out already:
--       nothing follows a terminal event, so this one is dropped; likewise {id} of what
--       was published once already
--
-- A stream entry is {e, event, p, id of the entry before}, and what is heard live is
-- "<id before> <id> <event>": a reader sees from the chain whether it missed one.
--
-- The meta hash outlives the stream, so that the chain, and the cursors of clients, are
-- still understood when all events have expired:
--   last      id of the last event
--   terminal  id of the last terminal event
--   t:<job>   id of that job's terminal event
--   r:<job>   unix ms when that was first written to a client (receipt.lua)
--   sweep     where the sweep below goes on
--
-- Markers t:<job> and r:<job> of a channel that never rests are swept: once there are
-- MANY, each terminal event looks at SWEPT fields and removes those too old. Too old is
-- what is older than the hash lives without events, as long as there are at most FULL
-- markers, and proportionally less beyond; at ten times FULL every marker looked at goes.
-- So each call does bounded work and the hash is bounded, and a job that is delivered
-- again finds its marker unless the channel had many thousand jobs in between.
local MANY, FULL, SWEPT = 1000, 10000, 20

local stream, meta, once = KEYS[1], KEYS[2], KEYS[3]
local event, job, terminal = ARGV[1], ARGV[2], ARGV[3] == '1'
local marker = 't:' .. job
local ttl = tonumber(ARGV[5])
local meta_ttl = math.max(2 * ttl, ttl + 600000)

local function parse(id)
    local ms, seq = string.match(id, '^(%d+)-(%d+)$')
    return tonumber(ms), tonumber(seq)
end

local function sweep(now)
    local count = redis.call('HLEN', meta)
    if count <= MANY then
        return
    end
    local oldest = now - meta_ttl * math.min(1, FULL / count)
    local scan = redis.call('HSCAN', meta, redis.call('HGET', meta, 'sweep') or '0',
                            'COUNT', SWEPT)
    for i = 1, #scan[2], 2 do
        local field, value = scan[2][i], scan[2][i + 1]
        local kind = string.sub(field, 1, 2)
        local ms = kind == 'r:' and tonumber(value) or parse(value)
        if (kind == 't:' or kind == 'r:') and field ~= marker and
           (not ms or ms < oldest or count >= 10 * FULL) then
            redis.call('HDEL', meta, field)
        end
    end
    redis.call('HSET', meta, 'sweep', scan[1])
end

if once then
    local id = redis.call('GET', once)
    if id then
        return {id}
    end
end

local known = redis.call('HMGET', meta, 'last', marker)
local last = known[1]
if job ~= '' and known[2] then
    return {known[2]}
end
if not last then
    local newest = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)
    last = newest[1] and newest[1][1] or '0-0'
end

local id = redis.call('XADD', stream, 'MAXLEN', '=', ARGV[4], '*', 'e', event, 'p', last)
local ms, seq = parse(id)
local last_ms, last_seq = parse(last)
if ms < last_ms or (ms == last_ms and seq <= last_seq) then
    -- The stream is gone and the clock went back: ids must not.
    redis.call('XDEL', stream, id)
    ms = last_ms
    id = string.format('%.0f-%.0f', last_ms, last_seq + 1)
    redis.call('XADD', stream, 'MAXLEN', '=', ARGV[4], id, 'e', event, 'p', last)
end

if not terminal then
    redis.call('HSET', meta, 'last', id)
elseif job == '' then
    redis.call('HSET', meta, 'last', id, 'terminal', id)
else
    redis.call('HSET', meta, 'last', id, 'terminal', id, marker, id)
    sweep(ms)
end
if once then
    redis.call('SET', once, id, 'PX', ARGV[7])
end
redis.call('PEXPIRE', stream, ARGV[5])
redis.call('PEXPIRE', meta, string.format('%.0f', meta_ttl))
return {id, redis.call('PUBLISH', ARGV[6], last .. ' ' .. id .. ' ' .. event)}
