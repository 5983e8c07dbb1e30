-- ARGV: key, new value, and the value that is expected, or nothing if the key is expected not to
-- exist. Gives {1} if it was swapped, else {0, what the key holds or nil}.
local current = redis.call('HGET', values, ARGV[1])
if current ~= (ARGV[3] or false) then
  return {0, current}
end
put({ARGV[1], ARGV[2]})
return {1}
