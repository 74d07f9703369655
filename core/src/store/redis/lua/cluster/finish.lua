-- Ends a run and says what is to happen in other slots, in one step. A reap deletes the wip list, so that a process that
-- was declared dead ends nothing and says nothing.
-- KEYS: wip, wips, outbox. ARGV: name of the wip list, run as `entry run uuid`, entries of the outbox...
if redis.call('LREM', KEYS[1], 1, ARGV[2]) == 0 then return 0 end
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('SREM', KEYS[2], ARGV[1]) end
if #ARGV > 2 then redis.call('RPUSH', KEYS[3], unpack(ARGV, 3)) end
return 1
