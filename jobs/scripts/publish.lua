-- Puts one event out: into the channel's stream, and to those who hear it now.
--
-- KEYS  1 stream of the channel, 2 its meta hash, 3 (may be missing) where the id of
--       what is published only once is remembered
-- ARGV  1 event (JSON), 2 job or '', 3 '1' when the event is terminal, 4 how many events
--       the stream keeps, 5 for how many ms after the last one, 6 and for how many the
--       meta hash stays, 7 with KEYS[3]: for how many ms
-- gives '<id> <receivers>', or '<id of the job's terminal event>' when that was out
--       already: nothing follows a terminal event, so this one is dropped; likewise '<id>'
--       of what was published once already
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
--   ends      terminal events since there were so many that it is needed
--
-- Markers t:<job> and r:<job> of a channel that never rests are swept: once there are
-- MANY, every EVERY-th terminal event looks at SWEPT fields and removes those too old. Too
-- old is what is older than the hash lives without events, as long as there are at most
-- FULL markers, and proportionally less beyond; at ten times FULL every marker looked at
-- goes. So each call does bounded work and the hash is bounded, and a job that is
-- delivered again finds its marker unless the channel had many thousand jobs in between.
--
-- The sweep has its own count of events: that of the fields goes up by one or two a job,
-- and could step over the multiples of any number for ever.
--
-- Most events are the first and only one of their channel, so that is what this is written
-- for: it takes as few commands as it can, makes functions where they are called, since
-- making one costs as well, and gives text, since a table costs more than to read it back.
-- (A number that becomes text costs too, and mostly nobody hears yet.)
local MANY, FULL, EVERY, SWEPT = 1000, 10000, 8, 32

local call = redis.call
local stream, meta, once = KEYS[1], KEYS[2], KEYS[3]
local event, job, terminal = ARGV[1], ARGV[2], ARGV[3] == '1'
local marker = 't:' .. job

if once then
    local id = call('GET', once)
    if id then
        return id
    end
end

-- Who set a marker set the last id with it.
local before, last
if call('EXISTS', stream, meta) > 0 then
    local known = call('HMGET', meta, 'last', marker)
    before, last = known[1], known[1]
    if known[2] and job ~= '' then
        return known[2]
    end
    if not before then
        local newest = call('XREVRANGE', stream, '+', '-', 'COUNT', '1')
        last = newest[1] and newest[1][1]
    end
end
last = last or '0-0'

local id = call('XADD', stream, 'MAXLEN', '=', ARGV[4], '*', 'e', event, 'p', last)
if last ~= '0-0' then
    -- Ids of one length, with their sign at the same place, compare as text.
    local sign = #id == #last and string.byte(id, 14) == 45 and string.byte(last, 14) == 45
    if not sign or id <= last then
        local parse = function(text)
            local ms, seq = string.match(text, '^(%d+)-(%d+)$')
            return tonumber(ms), tonumber(seq)
        end
        local ms, seq = parse(id)
        local last_ms, last_seq = parse(last)
        if ms < last_ms or (ms == last_ms and seq <= last_seq) then
            -- The stream is gone and the clock went back: ids must not.
            call('XDEL', stream, id)
            id = string.format('%.0f-%.0f', last_ms, last_seq + 1)
            call('XADD', stream, 'MAXLEN', '=', ARGV[4], id, 'e', event, 'p', last)
        end
    end
end

if not terminal then
    call('HSET', meta, 'last', id)
elseif job == '' then
    call('HSET', meta, 'last', id, 'terminal', id)
else
    call('HSET', meta, 'last', id, 'terminal', id, marker, id)
end

local count = before and terminal and job ~= '' and call('HLEN', meta) or 0
if count > MANY and call('HINCRBY', meta, 'ends', '1') % EVERY == 0 then
    local all = count >= 10 * FULL
    local oldest = tonumber(string.match(id, '^%d+')) - ARGV[6] * math.min(1, FULL / count)
    local scan = call('HSCAN', meta, call('HGET', meta, 'sweep') or '0', 'COUNT', SWEPT)
    local fields, old = scan[2], {}
    for i = 1, #fields, 2 do
        local field, kind = fields[i], string.sub(fields[i], 1, 2)
        local ms = tonumber(string.match(fields[i + 1], '^%d+')) or 0
        if (kind == 't:' or kind == 'r:') and field ~= marker and (all or ms < oldest) then
            old[#old + 1] = field
        end
    end
    if #old > 0 then
        call('HDEL', meta, unpack(old))
    end
    call('HSET', meta, 'sweep', scan[1])
end

if once then
    call('SET', once, id, 'PX', ARGV[7])
end
call('PEXPIRE', stream, ARGV[5])
call('PEXPIRE', meta, ARGV[6])
local receivers = call('PUBLISH', stream, last .. ' ' .. id .. ' ' .. event)
return id .. (receivers == 0 and ' 0' or ' ' .. receivers)
