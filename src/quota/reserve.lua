-- Counts the units of messages that came at once, one after the other: each for its subaccount and its master, both or neither.
--
-- KEYS[1]: the counters of a master and period. ARGV: master, then subaccount and units of each message (units 0: only asks
-- whether one would fit). Fields of an account: 'u' .. id used, 'c' .. id cap ('*': none), 'v' .. id version of the row they
-- came from.
-- Returns for each message 0: counted. 2: counted, and at least 10,000 units are left. 1: a field is missing or unreadable.
-- Else what it saw of both accounts, for publish: 'used/version'.
local master = ARGV[1]

local function reserve(subaccount, units)
  local fields = redis.pcall('HMGET', KEYS[1], 'u' .. subaccount, 'c' .. subaccount, 'u' .. master, 'c' .. master)
  local subUsed, masterUsed = tonumber(fields[1]), tonumber(fields[3])
  local subCap = fields[2] == '*' and math.huge or tonumber(fields[2])
  local masterCap = fields[4] == '*' and math.huge or tonumber(fields[4])
  if not (subUsed and subCap and masterUsed and masterCap and subUsed >= 0 and masterUsed >= 0) then return 1 end
  local needed = math.max(units, 1)
  if subUsed + needed > subCap or masterUsed + needed > masterCap then
    local versions = redis.call('HMGET', KEYS[1], 'v' .. subaccount, 'v' .. master)
    return { fields[1] .. '/' .. (versions[1] or ''), fields[3] .. '/' .. (versions[2] or '') }
  end
  if units > 0 then
    redis.call('HSET', KEYS[1], 'u' .. subaccount, subUsed + units, 'u' .. master, masterUsed + units)
  end
  local left = math.min(subCap - subUsed, masterCap - masterUsed) - units
  return left >= 10000 and 2 or 0
end

local answers = {}
for i = 2, #ARGV, 2 do
  answers[i / 2] = reserve(ARGV[i], tonumber(ARGV[i + 1]))
end
return answers
