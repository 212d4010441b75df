-- Gives a held job up: held → dead, with what it came to. The dead are kept by time, up
-- to a number and an age.
--
-- KEYS  1 held of this worker, 2 dead
-- ARGV  1 number of the claim, 2 ' channel=… end=… reason=… error=…', encoded as in an
--       envelope, 3 how many dead are kept, 4 for how many ms, 5 what to name a job that
--       has no readable envelope
-- gives 1, or 0 when it was not held
local envelope = redis.call('HGET', KEYS[1], ARGV[1])
if not envelope then
    return 0
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local fields, job = string.match(envelope, '^rb1( [^\n]*)\n(.*)$')
if not fields or not string.find(fields, ' id=', 1, true) then
    fields, job = ' id=' .. ARGV[5] .. ' queue=default deliveries=0', envelope
end
for _, name in ipairs({'channel', 'end', 'reason', 'error'}) do
    fields = string.gsub(fields, ' ' .. name .. '=[^ ]*', '')
end
fields = fields .. ARGV[2]
redis.call('ZADD', KEYS[2], string.format('%.0f', now), 'rb1' .. fields .. '\n' .. job)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('(%.0f', now - ARGV[4]))
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -1 - ARGV[3])
redis.call('HDEL', KEYS[1], ARGV[1])
return 1
