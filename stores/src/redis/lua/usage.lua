-- KEYS: the Store's values, its size. Gives {keys, bytes}.
return {redis.call('HLEN', KEYS[1]), tonumber(redis.call('GET', KEYS[2]) or '0')}
