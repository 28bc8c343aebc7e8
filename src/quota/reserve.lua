-- Counts the units of messages that came at once, one after the other: each for its subaccount, its master and its windows, all or none.
--
-- KEYS[1]: the counters of a master and period; then those of windows, in the same slot. ARGV: master, the program's time (seconds since
-- 1970; 0 without windows), then subaccount, units and guard of each message (units 0: only asks whether one would fit). Guard: '' or
-- 'kept;key,span,most;...': units that others may not take, and for each window the number of its key, its seconds, its limit.
-- Fields of an account: 'u' .. id used, 'c' .. id cap ('*': none), 'v' .. id version of the row they came from. All windows of a
-- subaccount or a credential are one hash, each a ring of 61 slots of a sixtieth of its span, as in rate_window (migrations/0020):
-- span .. 'n' its newest slot, span .. 't' what all slots hold, span .. ':' .. slot % 61; what is missing is empty.
-- Returns for each message 0: counted. 2: counted, and at least 10,000 units are left. 1: a field is missing or unreadable. 3: a window is
-- full. Else what it saw of both accounts, for publish: 'used/version'.
local master, now = ARGV[1], tonumber(ARGV[2])
local SLOTS = 61

-- By key, what this call knows of its windows: read once, written once.
local hashes = {}

local function field(span, slot) return span .. ':' .. slot % SLOTS end

local function forget(key, span, from, to)
  local old = {}
  for slot = from, to do old[#old + 1] = field(span, slot) end
  local units = redis.call('HMGET', key, unpack(old))
  redis.call('HDEL', key, unpack(old))
  return units
end

-- A window as it is now: what has grown too old is taken out.
local function moved(key, span, newest, total, units)
  local slot = math.floor(now * 60 / span)
  if not newest or not total or slot - newest >= SLOTS then
    forget(key, span, 1, SLOTS)
    return { span = span, slot = slot, total = 0, units = 0 }, true
  end
  if slot == newest then return { span = span, slot = slot, total = total, units = units or 0 }, false end
  if slot < newest then
    units = tonumber(redis.call('HGET', key, field(span, newest)))
    return { span = span, slot = newest, total = total, units = units or 0 }, false
  end
  for _, old in ipairs(forget(key, span, newest + 1, slot)) do total = total - (tonumber(old) or 0) end
  return { span = span, slot = slot, total = total, units = 0 }, true
end

local function load(key, spans)
  local hash = hashes[key] or { windows = {} }
  hashes[key] = hash
  local names = {}
  for _, span in ipairs(spans) do
    names[#names + 1] = span .. 'n'
    names[#names + 1] = span .. 't'
    names[#names + 1] = field(span, math.floor(now * 60 / span))
  end
  local seen = redis.pcall('HMGET', key, unpack(names))
  if seen.err then redis.call('DEL', key) end
  for i, span in ipairs(spans) do
    local newest, total, units = tonumber(seen[3 * i - 2]), tonumber(seen[3 * i - 1]), tonumber(seen[3 * i])
    local has
    hash.windows[span], has = moved(key, span, newest, total, units)
    hash.moved = hash.moved or has
  end
end

local function save(key, hash)
  if not (hash.moved or hash.counted) then return end
  local values, longest = {}, 0
  for span, w in pairs(hash.windows) do
    for _, value in ipairs({ span .. 'n', w.slot, span .. 't', w.total, field(span, w.slot), w.units }) do values[#values + 1] = value end
    longest = math.max(longest, span)
  end
  redis.call('HSET', key, unpack(values))
  if hash.moved then redis.call('PEXPIRE', key, longest * 1100) end
end

-- What others may not take, and the windows of a message; messages of one account have the same guard.
local guards = {}
local function read(guard)
  local known = guards[guard]
  if known then return known.kept, known.windows end
  local windows, missing = {}, {}
  for number, span, most in string.gmatch(guard, ';(%d+),(%d+),(%d+)') do
    local key, seconds = KEYS[tonumber(number)], tonumber(span)
    windows[#windows + 1] = { key = key, span = seconds, most = tonumber(most) }
    if not (hashes[key] and hashes[key].windows[seconds]) then
      missing[key] = missing[key] or {}
      table.insert(missing[key], seconds)
    end
  end
  for key, spans in pairs(missing) do load(key, spans) end
  guards[guard] = { kept = tonumber(string.match(guard, '^%d+')), windows = windows }
  return guards[guard].kept, windows
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
    if hashes[w.key].windows[w.span].total + needed > w.most then return 3 end
  end
  if units > 0 then
    redis.call('HSET', KEYS[1], 'u' .. subaccount, subUsed + units, 'u' .. master, masterUsed + units)
    for _, w in ipairs(windows) do
      local held = hashes[w.key].windows[w.span]
      held.total, held.units, hashes[w.key].counted = held.total + units, held.units + units, true
    end
  end
  local left = math.min(subCap - subUsed, masterCap - masterUsed) - units
  return left >= 10000 and 2 or 0
end

local answers = {}
for i = 3, #ARGV, 3 do
  answers[i / 3] = reserve(ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2])
end
for key, hash in pairs(hashes) do save(key, hash) end
return answers
