-- ARGV: most keys and most bytes of the Store, or nothing, then key, value, key, value, ...; no key
-- twice. Gives 1, or a refusal.
return put({unpack(ARGV, 3)}, tonumber(ARGV[1]), tonumber(ARGV[2])) or 1
