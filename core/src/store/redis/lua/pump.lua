-- Puts what is due back on its list. ARGV: base, clock shift, limit, resumption of a parked run whose time is over
-- Answers: how many, in how many milliseconds the next is due (-1: none waits)
local base, limit = ARGV[1], tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[2])
local moved = 0
for _, run in ipairs(redis.call('ZRANGEBYSCORE', base .. ':due', '-inf', now, 'LIMIT', 0, limit)) do
  redis.call('ZREM', base .. ':due', run)
  redis.call('ZREM', base .. ':waiters', run)
  local entry = redis.call('HGET', base .. ':run:' .. run, 'e')
  if entry then
    redis.call('ZADD', base .. ':returned', entry, run)
    moved = moved + 1
  end
end
for _, run in ipairs(redis.call('ZRANGEBYSCORE', base .. ':parked', '-inf', now, 'LIMIT', 0, limit - moved)) do
  local key = base .. ':run:' .. run
  redis.call('ZREM', base .. ':parked', run)
  local found = redis.call('HMGET', key, 'e', 'k')
  if found[1] then
    if found[2] then redis.call('HDEL', 'vconductor:tokens', found[2]) end
    redis.call('HDEL', key, 'k')
    redis.call('HSET', key, 'r', ARGV[4])
    redis.call('ZADD', base .. ':returned', found[1], run)
    moved = moved + 1
  end
end
-- Who may not publish is not heard at once; what it put back is there all the same.
if moved > 0 then redis.pcall('PUBLISH', 'vconductor:bell', base) end
local next = -1
for _, what in ipairs({ ':due', ':parked' }) do
  local first = redis.call('ZRANGE', base .. what, 0, 0, 'WITHSCORES')[2]
  local left = first and math.max(math.ceil(tonumber(first) - now), 0)
  if left and (next < 0 or left < next) then next = left end
end
return { moved, next }
