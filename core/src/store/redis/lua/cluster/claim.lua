-- Moves runs that came back, then bare uuids, into a wip list of their own.
-- KEYS: alive, paused, list, returned, entry, wip, wips. ARGV: name of the wip list, limit (at most 1000), prefix of new
-- run ids. Answers: 0 the process is dead | 2 paused | 1 and the runs as `entry run uuid`
if redis.call('EXISTS', KEYS[1]) == 0 then return { 0 } end
if redis.call('EXISTS', KEYS[2]) == 1 then return { 2 } end
local limit, taken = tonumber(ARGV[2]), {}
for _, element in ipairs(redis.call('ZRANGE', KEYS[4], 0, limit - 1)) do
  redis.call('ZREM', KEYS[4], element)
  taken[#taken + 1] = element
end
local ids = #taken < limit and redis.call('LRANGE', KEYS[3], 0, limit - #taken - 1) or {}
for i, uuid in ipairs(ids) do
  taken[#taken + 1] = redis.call('INCR', KEYS[5]) .. ' ' .. ARGV[3] .. string.format('%04x', i) .. ' ' .. uuid
end
if #ids > 0 then redis.call('LTRIM', KEYS[3], #ids, -1) end
if #taken > 0 then
  redis.call('RPUSH', KEYS[6], unpack(taken))
  redis.call('SADD', KEYS[7], ARGV[1])
end
return { 1, taken }
