-- Puts a held job aside until its time: held → due. One that was cancelled on its way here
-- goes to its queue instead, to be told at once: who cancels notes it first, and then looks
-- through due.
--
-- KEYS  1 held of this worker, 2 due, 3 cancelled
-- ARGV  1 number of the claim, 2 unix ms when it is due, 3 calls made for it so far, 4 unix
--       ms when the time of all its calls ends (0: it has not begun), 5 its id, 6 what
--       retry keys start with
-- gives {now in ms, 1 or 0 when it was not held, time of the next due job}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local envelope = redis.call('HGET', KEYS[1], ARGV[1])
if envelope then
    local line_end = string.find(envelope, '\n', 1, true) or #envelope + 1
    local fields = string.sub(envelope, 4, line_end - 1)
    for i, name in ipairs({' attempts=', ' until='}) do
        fields = string.gsub(fields, name .. '[^ ]*', '')
        if ARGV[2 + i] ~= '0' then
            fields = fields .. name .. ARGV[2 + i]
        end
    end
    envelope = 'rb1' .. fields .. string.sub(envelope, line_end)
    if redis.call('ZSCORE', KEYS[3], ARGV[5]) then
        redis.call('RPUSH', ARGV[6] .. (string.match(fields, ' queue=([^ ]+)') or 'default'),
                   envelope)
    else
        redis.call('ZADD', KEYS[2], ARGV[2], envelope)
    end
    redis.call('HDEL', KEYS[1], ARGV[1])
end
local due = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
return {now, envelope and 1 or 0, due[2] and tonumber(due[2]) or -1}
