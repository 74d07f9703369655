-- Holds something, and forgets holds that were over long ago. KEYS: holds. ARGV: clock shift, what, hold (JSON), how long a
-- hold is remembered after its time (ms)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[1])
local remembered = tonumber(ARGV[4])
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
local last = now
local holds = redis.call('HGETALL', KEYS[1])
for i = 1, #holds, 2 do
  local over = cjson.decode(holds[i + 1])['until'] + remembered
  if over <= now then redis.call('HDEL', KEYS[1], holds[i]) end
  last = math.max(last, over)
end
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.max(last - now, 1)))
return 1
