-- Gives a run back: to those that came back, ordered by entry, or to those that are due at a time.
-- KEYS: wip, wips, returned or due. ARGV: name of the wip list, run as `entry run uuid`, score
if redis.call('LREM', KEYS[1], 1, ARGV[2]) == 0 then return 0 end
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('SREM', KEYS[2], ARGV[1]) end
redis.call('ZADD', KEYS[3], ARGV[3], ARGV[2])
return 1
