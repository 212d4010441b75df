-- Takes jobs off the queues for a worker whose lease lives, and writes them down as held
-- by it, in one step: a job is in a queue or in somebody's hands, never in neither.
--
-- KEYS  1 workers, 2 held of this worker, then for each queue in order: retry, queue
-- ARGV  1 worker, 2 what new ids start with, 3 number of the first claim, 4 how many at
--       most, then the name of each queue
-- gives {now in ms, jobs left in the queues, number, envelope, number, envelope, …}
-- fails with FENCED when the lease lapsed
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

local live = redis.call('ZCOUNT', KEYS[1], string.format('(%.0f', now), '+inf')
local number, room, bytes, left = tonumber(ARGV[3]), tonumber(ARGV[4]), 0, 0
local answer, held = {now, 0}, {}

for k = 3, #KEYS do
    local is_queue = k % 2 == 0
    local length = redis.call('LLEN', KEYS[k])
    local share = math.min(room, math.ceil(length / live))
    left = left + length
    while share > 0 and bytes < MAX_BYTES do
        local texts = redis.call('LPOP', KEYS[k], math.min(share, CHUNK))
        for _, text in ipairs(texts) do
            if is_queue or string.sub(text, 1, 4) ~= 'rb1 ' then
                text = string.format('rb1 id=%s-%.0f queue=%s deliveries=0 at=%.0f\n', ARGV[2],
                                     number, ARGV[4 + math.floor((k - 1) / 2)], now) .. text
            end
            held[#held + 1] = string.format('%.0f', number)
            held[#held + 1] = text
            answer[#answer + 1] = number
            answer[#answer + 1] = text
            bytes = bytes + #text
            number = number + 1
        end
        share = share - #texts
        room = room - #texts
        left = left - #texts
    end
end

if #held > 0 then
    redis.call('HSET', KEYS[2], unpack(held))
end
answer[2] = left
return answer
