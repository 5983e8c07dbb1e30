-- ARGV: most keys and most bytes of the Store, or nothing, then key, what to add, most bytes of a value.
-- Gives {0, sum}, {1} if there is no integer or the sum is beyond its range, {2, bytes} if the sum is
-- longer than a value may be, or a refusal.
--
-- A number of Lua's is a double, which has 53 bits. So the server adds (HINCRBY), and numbers are only
-- ever texts here, its answer included.
local most_keys, most_bytes = tonumber(ARGV[1]), tonumber(ARGV[2])
local key, delta, longest = ARGV[3], ARGV[4], tonumber(ARGV[5])
local old = redis.call('HGET', values, key)

local function restore()
  if old then
    redis.call('HSET', values, key, old)
  else
    redis.call('HDEL', values, key)
  end
end

local respelled = false
if old then
  -- HINCRBY takes a number only as it would write it itself: no `+`, no zeros in front, no `-0`.
  -- Nothing here goes back in the text: a guest may have put a megabyte of zeros there, and all wait.
  local sign, rest = string.match(old, '^([+-]?)(.*)$')
  if rest == '' or string.find(rest, '%D') then
    return {1}
  end
  local first = string.find(rest, '[1-9]')
  local digits = first and string.sub(rest, first) or '0'
  local plain = digits
  if sign == '-' and digits ~= '0' then
    plain = '-' .. digits
  end
  if plain ~= old then
    redis.call('HSET', values, key, plain)
    respelled = true
  end
end

local answer = redis.pcall('HINCRBY', values, key, delta)
if type(answer) == 'table' and answer.err then
  if respelled then
    restore()
  end
  if string.find(answer.err, 'not an integer', 1, true)
    or string.find(answer.err, 'overflow', 1, true) then
    return {1}
  end
  return answer
end

local sum = redis.call('HGET', values, key)
if #sum > longest then
  restore()
  return {2, #sum}
end
local added, grown = 0, #sum
if old then
  grown = grown - #old
else
  added, grown = 1, grown + #key
end
if most_keys or most_bytes then
  local keys = redis.call('HLEN', values) - added
  local refused = refusal(keys, added, grown, most_keys, most_bytes)
  if refused then
    restore()
    return refused
  end
end
if added > 0 then
  redis.call('ZADD', index, '0', key)
end
if grown ~= 0 then
  redis.call('INCRBY', size, grown)
end
return {0, sum}
