-- Notes in a held job what was done for it so far, so that whoever takes it over from a dead
-- worker goes on from there.
--
-- KEYS  1 held of this worker
-- ARGV  1 number of the claim, 2 calls made for it so far, 3 unix ms when the time of all
--       its calls ends
-- gives 1, or 0 when it is not held
local envelope = redis.call('HGET', KEYS[1], ARGV[1])
if not envelope then
    return 0
end
local line_end = string.find(envelope, '\n', 1, true) or #envelope + 1
local fields = string.sub(envelope, 4, line_end - 1)
for i, name in ipairs({' attempts=', ' until='}) do
    fields = string.gsub(fields, name .. '[^ ]*', '') .. name .. ARGV[1 + i]
end
redis.call('HSET', KEYS[1], ARGV[1], 'rb1' .. fields .. string.sub(envelope, line_end))
return 1
