-- Takes or lets go of the key of a unique job: while one job has it, others with the same
-- key are duplicates.
--
-- KEYS  1 once of the unique key
-- ARGV  1 "take" or "drop", 2 id of the job, 3 its channel (take), 4 for how many ms at
--       most (take)
-- take gives {1} when the job has it now, or had it already, else {0, id, channel} of the
-- job that has it; drop gives {1}, or {0} when it was not this job's
local owner, channel = string.match(redis.call('GET', KEYS[1]) or '', '^(%S+) ?(.*)$')
if ARGV[1] == 'drop' then
    if owner == ARGV[2] then
        redis.call('DEL', KEYS[1])
    end
    return {owner == ARGV[2] and 1 or 0}
end
if owner and owner ~= ARGV[2] then
    return {0, owner, channel}
end
redis.call('SET', KEYS[1], ARGV[2] .. ' ' .. ARGV[3], 'PX', ARGV[4])
return {1}
