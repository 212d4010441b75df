-- Puts jobs back whose worker will not run them: it drains, or a claim's answer was lost.
-- Their deliveries are not counted, since nobody died over them.
--
-- KEYS  1 workers, 2 held of this worker
-- ARGV  1 worker, 2 what retry keys start with, 3 "leave" to give everything back and be
--       no worker any more, or "stay" and then the numbers of the claims
-- gives {jobs put back, jobs still held}; a worker leaves with the call that leaves it
-- nothing, so it calls again until then
--
-- Retry keys are made from ARGV, since an envelope names its queue; they share the
-- prefix, and so the hash slot, of KEYS.
local AT_ONCE = 1000

local leave = ARGV[3] == 'leave'
local claims = {}
if leave then
    local all = redis.call('HKEYS', KEYS[2])
    table.sort(all, function(a, b) return (tonumber(a) or 0) < (tonumber(b) or 0) end)
    claims = {unpack(all, 1, math.min(#all, AT_ONCE))}
else
    claims = {unpack(ARGV, 4)}
end

local given = 0
for _, claim in ipairs(claims) do
    local envelope = redis.call('HGET', KEYS[2], claim)
    if envelope then
        local fields = string.match(envelope, '^rb1([^\n]*)') or ''
        local queue = string.match(fields, ' queue=([^ ]+)') or 'default'
        redis.call('RPUSH', ARGV[2] .. queue, envelope)
        redis.call('HDEL', KEYS[2], claim)
        given = given + 1
    end
end
local still = redis.call('HLEN', KEYS[2])
if leave and still == 0 then
    redis.call('ZREM', KEYS[1], ARGV[1])
end
return {given, still}
