-- ARGV: key, value, key, value, ...; no key twice.
put(ARGV)
return 1
