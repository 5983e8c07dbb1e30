-- What every script that writes begins with. KEYS: the Store's values (a hash), the index of its keys
-- (a sorted set, all of score 0), and its size in bytes (a number).
--
-- The first write of a script is the one that a server without memory, or a replica, refuses; what
-- follows it is done. So nothing here may fail after the first write.
local values, index, size = KEYS[1], KEYS[2], KEYS[3]

-- Sets {key, value, key, value, ...}; no key twice.
local function put(given)
  local added, grown = {}, 0
  for i = 1, #given, 2 do
    local key = given[i]
    local old = redis.call('HSTRLEN', values, key)
    if old == 0 and redis.call('HEXISTS', values, key) == 0 then
      added[#added + 1] = '0'
      added[#added + 1] = key
      grown = grown + #key
    end
    grown = grown + #given[i + 1] - old
  end
  redis.call('HSET', values, unpack(given))
  if #added > 0 then
    redis.call('ZADD', index, unpack(added))
  end
  if grown ~= 0 then
    redis.call('INCRBY', size, grown)
  end
end
