-- Forgets that a job's terminal event is out, so that it may have another, and when that was
-- delivered, which says nothing about the next one.
--
-- KEYS  1 meta hash of the channel
-- ARGV  1 the job's marker, 2 id of that event, or '': whichever it is, 3 its receipt
-- gives 1 or 2, or 0 when it is not marked, or marked with another event: a later run's
if ARGV[2] ~= '' and redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then
    return 0
end
return redis.call('HDEL', KEYS[1], ARGV[1], ARGV[3])
