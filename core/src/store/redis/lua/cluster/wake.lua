-- Puts what is due among those that came back. KEYS: due, returned. ARGV: limit. Answers: how many
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
for _, element in ipairs(due) do
  redis.call('ZREM', KEYS[1], element)
  redis.call('ZADD', KEYS[2], element:match('^%d+'), element)
end
return #due
