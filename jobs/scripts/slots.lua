-- Gives the calls of a service their places, counted over all workers. A place has an
-- end, so that one whose worker died comes back by itself.
--
-- KEYS  1 slots of the service
-- ARGV  1 how many there are, 2 for how many ms a place is kept at most, 3 how many names
--       of places to give back follow, then these, then the names of places wanted, in
--       order
-- gives {places given, places free}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local limit, back = tonumber(ARGV[1]), tonumber(ARGV[3])

for i = 4, 3 + back do
    redis.call('ZREM', KEYS[1], ARGV[i])
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
local free = math.max(0, limit - redis.call('ZCARD', KEYS[1]))
local given = math.min(free, #ARGV - 3 - back)
for i = 4 + back, 3 + back + given do
    redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[2]), ARGV[i])
end
if given > 0 then
    redis.call('PEXPIRE', KEYS[1], string.format('%.0f', ARGV[2] + 1))
end
return {given, free - given}
