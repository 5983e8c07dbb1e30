-- KEYS: the place. ARGV: an id for it, if it has none. Gives the id that it has.
local id = redis.call('HGET', KEYS[1], 'id')
if not id then
    id = ARGV[1]
    redis.call('HSET', KEYS[1], 'id', id)
end
return id
