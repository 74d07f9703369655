-- Carries out an entry of an outbox: appends to a list, once. KEYS: list, mark. ARGV: value, how long the mark is kept (ms)
if not redis.call('SET', KEYS[2], 1, 'NX', 'PX', ARGV[2]) then return 0 end
redis.call('RPUSH', KEYS[1], ARGV[1])
return 1
