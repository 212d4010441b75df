-- Takes jobs off the queues for a worker whose lease lives, and writes them down as held
-- by it, in one step: a job is in a queue or in somebody's hands, never in neither.
--
-- KEYS  1 workers, 2 held of this worker, 3 cancelled, 4 paused, then for each queue in
--       order: retry, queue
-- ARGV  1 worker, 2 what new ids start with, 3 number of the first claim, 4 how many at
--       most, then the name of each queue
-- gives {now in ms, jobs left in the queues that are not paused, {cancelled ids that these
--        jobs may have}, {what is paused}, number, envelope, number, envelope, …}
-- fails with FENCED when the lease lapsed
--
-- No JSON is read here: whatever stands in a job like an id, escapes undone, is looked up
-- among the cancelled, and the worker, which does read it, decides. Since that happens in
-- the same step as taking the job, one that was cancelled before is never begun.
--
-- While several workers live, each takes at most its fair share of what a list holds, so
-- that the first to wake does not leave the others idle.
--
-- Mostly it takes one job from one queue, of which nothing is paused and nothing cancelled;
-- so whatever is for other cases alone is made when there is one.
local CHUNK = 32            -- popped at a time, and
local MAX_BYTES = 1048576   -- no more chunks behind so many bytes: an answer stays small
local MAX_TEXT = 1114112    -- of what is too large for a job (1 MiB) the beginning is kept

local call = redis.call
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lease = call('ZSCORE', KEYS[1], ARGV[1])
if not lease or tonumber(lease) <= now then
    return redis.error_reply('FENCED the lease of this worker lapsed')
end

local live -- workers; counted where there is something to share
local number, room, bytes, left = ARGV[3] + 0, ARGV[4] + 0, 0, 0
local cancelled, paused = {}, call('SMEMBERS', KEYS[4])
local answer, held = {now, 0, cancelled, paused}, {}
local count = 0 -- of jobs
local is_paused, look_for_ids

if paused[1] then
    is_paused = {}
    for _, name in ipairs(paused) do
        is_paused[name] = true
    end
end

-- A script is not undone where it fails, and what it took by then would be gone: so what
-- may be of another type is asked before, or its errors are caught.
if call('ZCARD', KEYS[3]) > 0 then
    local look_up = function(id)
        if call('ZSCORE', KEYS[3], id) then
            cancelled[#cancelled + 1] = id
        end
    end
    look_for_ids = function(envelope)
        -- Quotes stay escaped: undone, one would look like the end of a string.
        local plain = string.gsub(envelope, '\\u00(%x%x)', function(hex)
            return hex ~= '22' and string.char(tonumber(hex, 16)) or nil
        end)
        look_up(string.match(plain, ' id=([^ \n]*)') or '')
        for id in string.gmatch(plain, '"id"%s*:%s*"([^"]*)"') do
            look_up(id)
        end
    end
end

for k = 5, #KEYS do
    local list, is_queue = KEYS[k], k % 2 == 0
    local queue = ARGV[is_queue and k / 2 + 2 or (k + 5) / 2]
    local length = is_paused and is_paused['queue:' .. queue] and 0
        or redis.pcall('LLEN', list)
    if type(length) == 'table' then
        length = 0 -- no list: whoever waits for it hears that
    end
    local share = length < room and length or room
    if length > 1 then
        live = live or call('ZCOUNT', KEYS[1], '(' .. now, '+inf')
        share = math.min(share, math.ceil(length / live))
    end
    left = left + length
    local id, fields
    if share > 0 then
        id = 'rb1 id=' .. ARGV[2] .. '-'
        fields = ' queue=' .. queue .. ' deliveries=0 at=' .. now .. '\n'
    end
    while share > 0 and bytes < MAX_BYTES do
        local texts = call('LPOP', list, share < CHUNK and share or CHUNK)
        for i = 1, #texts do
            local text, digits = texts[i], '' .. number
            if is_queue or string.sub(text, 1, 4) ~= 'rb1 ' then
                text = id .. digits .. fields .. text
            end
            if #text > MAX_TEXT then
                text = string.sub(text, 1, MAX_TEXT)
            end
            if look_for_ids then
                look_for_ids(text)
            end
            held[2 * count + 1] = digits
            held[2 * count + 2] = text
            answer[2 * count + 5] = number
            answer[2 * count + 6] = text
            bytes = bytes + #text
            number, count = number + 1, count + 1
        end
        share = share - #texts
        room = room - #texts
        left = left - #texts
    end
end

if count > 0 then
    call('HSET', KEYS[2], unpack(held))
end
answer[2] = left
return answer
