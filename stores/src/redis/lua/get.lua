-- KEYS: the Store's values. ARGV: most bytes of the answer, then keys. Gives their values, or the
-- number of bytes that were too many.
local most, bytes = tonumber(ARGV[1]), 0
for i = 2, #ARGV do
  bytes = bytes + redis.call('HSTRLEN', KEYS[1], ARGV[i])
  if bytes > most then
    return bytes
  end
end
return redis.call('HMGET', KEYS[1], unpack(ARGV, 2))
