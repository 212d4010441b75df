-- Pauses a queue or a service, or lets it go on, and tells the workers.
--
-- KEYS  1 paused
-- ARGV  1 "pause" or "resume", 2 what: "queue:<name>" or "service:<name>", 3 pub/sub name
-- gives 1, or 0 when that is how it was
local changed = redis.call(ARGV[1] == 'pause' and 'SADD' or 'SREM', KEYS[1], ARGV[2])
redis.call('PUBLISH', ARGV[3], ARGV[1] .. ' ' .. ARGV[2])
return changed
