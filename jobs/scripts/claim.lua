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
local CHUNK = 32            -- popped at a time, and
local MAX_BYTES = 1048576   -- no more chunks behind so many bytes: an answer stays small

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lease = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not lease or tonumber(lease) <= now then
    return redis.error_reply('FENCED the lease of this worker lapsed')
end

local live -- workers; counted where there is something to share
local number, room, bytes, left = tonumber(ARGV[3]), tonumber(ARGV[4]), 0, 0
local cancelled = {}
local paused, is_paused = redis.call('SMEMBERS', KEYS[4]), {}
local answer, held = {now, 0, cancelled, paused}, {}
local count = 0 -- of jobs
for _, name in ipairs(paused) do
    is_paused[name] = true
end

local function look_up(id)
    if redis.call('ZSCORE', KEYS[3], id) then
        cancelled[#cancelled + 1] = id
    end
end

local function look_for_ids(envelope)
    -- Quotes stay escaped: undone, one would look like the end of a string.
    local plain = string.gsub(envelope, '\\u00(%x%x)', function(hex)
        return hex ~= '22' and string.char(tonumber(hex, 16)) or nil
    end)
    look_up(string.match(plain, ' id=([^ \n]*)') or '')
    for id in string.gmatch(plain, '"id"%s*:%s*"([^"]*)"') do
        look_up(id)
    end
end

-- All that is looked at is looked at before anything is taken: where a key is of another
-- type the script ends, and what it took by then would be gone.
local any_cancelled = redis.call('ZCARD', KEYS[3]) > 0
local names, lengths = {}, {}
for k = 5, #KEYS do
    names[k] = ARGV[3 + math.floor((k - 1) / 2)]
    lengths[k] = is_paused['queue:' .. names[k]] and 0 or redis.call('LLEN', KEYS[k])
end

for k = 5, #KEYS do
    local is_queue, queue, length = k % 2 == 0, names[k], lengths[k]
    if length > 1 and not live then
        live = redis.call('ZCOUNT', KEYS[1], string.format('(%.0f', now), '+inf')
    end
    local share = math.min(room, length > 1 and math.ceil(length / live) or length)
    left = left + length
    local id = string.format('rb1 id=%s-', ARGV[2])
    local fields = string.format(' queue=%s deliveries=0 at=%.0f\n', queue, now)
    while share > 0 and bytes < MAX_BYTES do
        local texts = redis.call('LPOP', KEYS[k], math.min(share, CHUNK))
        for _, text in ipairs(texts) do
            local digits = string.format('%d', number)
            if is_queue or string.sub(text, 1, 4) ~= 'rb1 ' then
                text = id .. digits .. fields .. text
            end
            if any_cancelled then
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
    redis.call('HSET', KEYS[2], unpack(held))
end
answer[2] = left
return answer
