-- Gives a held job up: held → dead, with the reason. The dead are kept by time, up to a
-- number and an age.
--
-- KEYS  1 held of this worker, 2 dead
-- ARGV  1 number of the claim, 2 reason (an error code), 3 last error, encoded as in an
--       envelope, 4 how many dead are kept, 5 for how many ms, 6 what to name a job that
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
    fields, job = ' id=' .. ARGV[6] .. ' queue=default deliveries=0', envelope
end
fields = string.gsub(fields, ' reason=[^ ]*', '')
fields = string.gsub(fields, ' error=[^ ]*', '')
fields = fields .. ' reason=' .. ARGV[2] .. ' error=' .. ARGV[3]
redis.call('ZADD', KEYS[2], string.format('%.0f', now), 'rb1' .. fields .. '\n' .. job)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('(%.0f', now - ARGV[5]))
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -1 - ARGV[4])
redis.call('HDEL', KEYS[1], ARGV[1])
return 1
