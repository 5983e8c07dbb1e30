-- ARGV: keys; none twice.
local gone, freed = {}, 0
for _, key in ipairs(ARGV) do
  local old = redis.call('HSTRLEN', values, key)
  if old > 0 or redis.call('HEXISTS', values, key) == 1 then
    gone[#gone + 1] = key
    freed = freed + #key + old
  end
end
if #gone > 0 then
  redis.call('HDEL', values, unpack(gone))
  redis.call('ZREM', index, unpack(gone))
  if redis.call('DECRBY', size, freed) == 0 then
    redis.call('DEL', size)
  end
end
return #gone
