-- Gives back the units of a message that was not stored. What is missing stays missing: a counter never starts here.
--
-- KEYS[1]: the counters of a master and period. ARGV: subaccount, master, units.
local fields = redis.pcall('HMGET', KEYS[1], 'u' .. ARGV[1], 'u' .. ARGV[2])
for i = 1, 2 do
  local used = tonumber(fields[i])
  if used then redis.call('HSET', KEYS[1], 'u' .. ARGV[i], math.max(0, used - tonumber(ARGV[3]))) end
end
return 0
