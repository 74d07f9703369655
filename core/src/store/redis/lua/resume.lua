-- Resumes the run that is parked under a token, or keeps the payload for a run that is about to be.
-- ARGV: token, resumption, clock shift, how long and how many early payloads are kept
-- Answers: the run's base, or nothing
local token = ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[3])
local parked = redis.call('HGET', 'vconductor:tokens', token)
if parked then
  local run, base = parked:match('^(%x+) (.*)$')
  local key = base .. ':run:' .. run
  redis.call('HDEL', 'vconductor:tokens', token)
  redis.call('ZREM', base .. ':parked', run)
  redis.call('HDEL', key, 'k')
  redis.call('HSET', key, 'r', ARGV[2])
  redis.call('ZADD', base .. ':returned', redis.call('HGET', key, 'e'), run)
  redis.pcall('PUBLISH', 'vconductor:bell', base)
  return base
end
redis.call('HSET', 'vconductor:early', token, ARGV[2])
redis.call('ZADD', 'vconductor:early:due', now + tonumber(ARGV[4]), token)
local over = redis.call('ZCARD', 'vconductor:early:due') - tonumber(ARGV[5])
if over > 0 then
  for _, old in ipairs(redis.call('ZRANGE', 'vconductor:early:due', 0, over - 1)) do
    redis.call('HDEL', 'vconductor:early', old)
    redis.call('ZREM', 'vconductor:early:due', old)
  end
end
return false
