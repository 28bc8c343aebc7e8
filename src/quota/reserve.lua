-- Counts the units of messages that came at once, one after the other: each for its subaccount, its master and its windows, all or none.
--
-- KEYS[1]: the counters of a master and period; then those of windows, in the same slot. ARGV: master, the program's time (seconds since
-- 1970; 0 without windows), then subaccount, units and guard of each message (units 0: only asks whether one would fit). Guard: '' or
-- 'kept;key,span,most;...': units that others may not take, and for each window the number of its key, its seconds, its limit.
-- Fields of an account: 'u' .. id used, 'c' .. id cap ('*': none), 'v' .. id version of the row they came from. A window is a ring of 61
-- slots of a sixtieth of its span, as in rate_window (migrations/0020), with 'newest' and 'total'; one that is missing is empty.
-- Returns for each message 0: counted. 2: counted, and at least 10,000 units are left. 1: a field is missing or unreadable. 3: a window is
-- full. Else what it saw of both accounts, for publish: 'used/version'.
local master, now = ARGV[1], tonumber(ARGV[2])
local SLOTS = 61

-- Takes out what has grown too old. Returns what is left, and the slot to count into.
local function window(key, span)
  local slot = math.floor(now * 60 / span)
  local seen = redis.pcall('HMGET', key, 'newest', 'total')
  local newest, total = tonumber(seen[1]), tonumber(seen[2])
  if not newest or not total or slot - newest >= SLOTS then
    redis.call('DEL', key)
    return 0, slot
  end
  if slot <= newest then return total, newest end
  local old = {}
  for passed = newest + 1, slot do old[#old + 1] = passed % SLOTS end
  for _, units in ipairs(redis.call('HMGET', key, unpack(old))) do total = total - (tonumber(units) or 0) end
  redis.call('HDEL', key, unpack(old))
  redis.call('HSET', key, 'newest', slot, 'total', total)
  return total, slot
end

local function read(guard)
  local kept, windows = tonumber(string.match(guard, '^%d+')), {}
  for key, span, most in string.gmatch(guard, ';(%d+),(%d+),(%d+)') do
    windows[#windows + 1] = { key = KEYS[tonumber(key)], span = tonumber(span), most = tonumber(most) }
  end
  return kept, windows
end

local function count(windows, units)
  for _, w in ipairs(windows) do
    redis.call('HINCRBY', w.key, w.slot % SLOTS, units)
    redis.call('HSET', w.key, 'newest', w.slot, 'total', w.total + units)
    redis.call('PEXPIRE', w.key, w.span * 1100)
  end
end

local function reserve(subaccount, units, guard)
  local fields = redis.pcall('HMGET', KEYS[1], 'u' .. subaccount, 'c' .. subaccount, 'u' .. master, 'c' .. master)
  local subUsed, masterUsed = tonumber(fields[1]), tonumber(fields[3])
  local subCap = fields[2] == '*' and math.huge or tonumber(fields[2])
  local masterCap = fields[4] == '*' and math.huge or tonumber(fields[4])
  if not (subUsed and subCap and masterUsed and masterCap and subUsed >= 0 and masterUsed >= 0) then return 1 end
  local needed = math.max(units, 1)
  local windows = {}
  if guard ~= '' then
    local kept
    kept, windows = read(guard)
    subCap = subCap - kept
  end
  if subUsed + needed > subCap or masterUsed + needed > masterCap then
    local versions = redis.call('HMGET', KEYS[1], 'v' .. subaccount, 'v' .. master)
    return { fields[1] .. '/' .. (versions[1] or ''), fields[3] .. '/' .. (versions[2] or '') }
  end
  for _, w in ipairs(windows) do
    w.total, w.slot = window(w.key, w.span)
    if w.total + needed > w.most then return 3 end
  end
  if units > 0 then
    redis.call('HSET', KEYS[1], 'u' .. subaccount, subUsed + units, 'u' .. master, masterUsed + units)
    count(windows, units)
  end
  local left = math.min(subCap - subUsed, masterCap - masterUsed) - units
  return left >= 10000 and 2 or 0
end

local answers = {}
for i = 3, #ARGV, 3 do
  answers[i / 3] = reserve(ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2])
end
return answers
