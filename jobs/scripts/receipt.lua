-- Notes when the terminal event of a job was first written to a client. Only beside the
-- job's marker (see publish.lua): a channel that is forgotten is not brought back.
--
-- KEYS  1 meta hash of the channel
-- ARGV  1 job
-- gives 1, or 0 when it was noted before or there is no marker
if redis.call('HEXISTS', KEYS[1], 't:' .. ARGV[1]) == 0 then
    return 0
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
return redis.call('HSETNX', KEYS[1], 'r:' .. ARGV[1], string.format('%.0f', now))
