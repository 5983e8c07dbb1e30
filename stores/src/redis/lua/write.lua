-- What every script that writes begins with. KEYS: the Store's values (a hash), the index of its keys
-- (a sorted set, all of score 0), and its size in bytes (a number).
--
-- The first write of a script is the one that a server without memory, or a replica, refuses; what
-- follows it is done. So nothing here may fail after the first write.
local values, index, size = KEYS[1], KEYS[2], KEYS[3]

-- Refuses that the Store, which has `keys`, grows by `added` keys and `grown` bytes beyond what it may
-- have (nil: any number): {9, keys, bytes, added, grown}. Nothing if it may.
local function refusal(keys, added, grown, most_keys, most_bytes)
  local bytes = tonumber(redis.call('GET', size) or '0')
  if (added > 0 and most_keys and keys + added > most_keys)
    or (grown > 0 and most_bytes and bytes + grown > most_bytes) then
    return {9, keys, bytes, added, grown}
  end
end

-- Sets {key, value, key, value, ...}, no key twice, if the Store may have them; else gives the refusal.
local function put(given, most_keys, most_bytes)
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
  if most_keys or most_bytes then
    local keys = redis.call('HLEN', values)
    local refused = refusal(keys, #added / 2, grown, most_keys, most_bytes)
    if refused then
      return refused
    end
  end
  redis.call('HSET', values, unpack(given))
  if #added > 0 then
    redis.call('ZADD', index, unpack(added))
  end
  if grown ~= 0 then
    redis.call('INCRBY', size, grown)
  end
end
