-- Takes back what a dead process holds of a list, and counts the crash.
-- KEYS: alive, wip, wips, returned, crashes. ARGV: name of the wip list. Answers: -1 it lives | how many runs
if redis.call('EXISTS', KEYS[1]) == 1 then return -1 end
local held = redis.call('LRANGE', KEYS[2], 0, -1)
for _, element in ipairs(held) do
  redis.call('ZADD', KEYS[4], element:match('^%d+'), element)
  redis.call('HINCRBY', KEYS[5], element:match('^%d+ (%x+)'), 1)
end
redis.call('DEL', KEYS[2])
redis.call('SREM', KEYS[3], ARGV[1])
return #held
