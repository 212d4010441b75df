-- Gives a service's calls their permits, counted over all workers: the generic cell rate
-- algorithm (ITU-T I.371 annex A), which keeps one number: the theoretical arrival time of
-- the next call if all came evenly.
--
-- KEYS  1 rate of the service
-- ARGV  1 period in us, 2 calls a period, 3 how many may start at once after a calm, 4 how
--       many permits are wanted
-- gives {permits given, ms until the next one (0: now)}
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, burst, wanted = ARGV[1] / ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

-- What lies further ahead than a burst was left by a clock that went back, or by an older
-- limit.
local arrival = tonumber(redis.call('GET', KEYS[1]) or 0) or 0
arrival = math.min(math.max(arrival, now), now + burst * interval)

local room = math.floor((now - arrival) / interval + burst + 1e-6)
local given = math.max(0, math.min(wanted, room))
if given > 0 then
    arrival = arrival + given * interval
    redis.call('SET', KEYS[1], string.format('%.0f', arrival), 'PX',
               math.ceil((arrival - now) / 1000) + 1)
end
return {given, math.max(0, math.ceil((arrival - (burst - 1) * interval - now) / 1000))}
