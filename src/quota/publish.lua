-- Sets counters from usage rows. An older row never replaces a newer one, nor wipes out what was counted since.
--
-- KEYS[1]: the counters of a master and period. ARGV[1]: when they expire, ms since 1970; then five for each account:
-- id, used, cap ('*': none), version, and seen ('' or 'used/version'). A row is taken
--   when a field is missing or unreadable,
--   when its version is newer,
--   when its version is the same and it has used more (the counter is too low),
--   when the counter still is what the caller saw before it read the row (the counter is too high).
-- Returns how many were taken.
local key, taken = KEYS[1], 0
local kind = redis.call('TYPE', key)['ok']
if kind ~= 'hash' and kind ~= 'none' then redis.call('DEL', key) end
for i = 2, #ARGV, 5 do
  local id, used, cap, version, seen = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]
  local fields = redis.call('HMGET', key, 'u' .. id, 'c' .. id, 'v' .. id)
  local oldUsed, oldCap, oldVersion = tonumber(fields[1]), fields[2] == '*' or tonumber(fields[2]), tonumber(fields[3])
  local newVersion = tonumber(version)
  if not (oldUsed and oldCap and oldVersion and oldUsed >= 0)
    or newVersion > oldVersion
    or (newVersion == oldVersion and tonumber(used) > oldUsed)
    or seen == fields[1] .. '/' .. fields[3] then
    redis.call('HSET', key, 'u' .. id, used, 'c' .. id, cap, 'v' .. id, version)
    taken = taken + 1
  end
end
if taken > 0 then redis.call('PEXPIREAT', key, ARGV[1]) end
return taken
