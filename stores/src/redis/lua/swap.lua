-- ARGV: most keys and most bytes of the Store, or nothing, then key, new value, and the value that is
-- expected, or no more if the key is expected not to exist. Gives {1} if it was swapped, {0, what the key
-- holds or nil} if not, or a refusal.
local key, value, expected = ARGV[3], ARGV[4], ARGV[5]
local current = redis.call('HGET', values, key)
if current ~= (expected or false) then
  return {0, current}
end
return put({key, value}, tonumber(ARGV[1]), tonumber(ARGV[2])) or {1}
