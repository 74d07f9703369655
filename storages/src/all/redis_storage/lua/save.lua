-- Puts a document that waits under a name of its own into its place, unless a newer one is there.
-- KEYS: document, revision, by created_at, by expiry, waiting document
-- ARGV: revision, index entry, time to live (ms, 0 = for ever), prefix of documents
-- The revision's key holds "<revision> <index entry>".

local function older(a, b) -- decimal numbers of any length
  if #a ~= #b then return #a < #b end
  return a < b
end

local held = redis.call('GET', KEYS[2])
-- A document that was deleted or has expired holds nothing back.
if held and redis.call('EXISTS', KEYS[1]) == 1 and older(ARGV[1], held:match('^%d+')) then
  redis.call('DEL', KEYS[5])
  return 0
end
if redis.call('EXISTS', KEYS[5]) == 0 then
  return -1
end
if held then
  local entry = held:match('^%d+ (.*)$')
  redis.call('ZREM', KEYS[3], entry)
  redis.call('ZREM', KEYS[4], entry)
end
local keep = tonumber(ARGV[3])
redis.call('RENAME', KEYS[5], KEYS[1])
redis.call('ZADD', KEYS[3], 0, ARGV[2])
if keep > 0 then
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  redis.call('SET', KEYS[2], ARGV[1] .. ' ' .. ARGV[2], 'PX', ARGV[3])
  redis.call('ZADD', KEYS[4], now + keep, ARGV[2])
  -- Two for one, so that the index shrinks as fast as vCons expire.
  for _, entry in ipairs(redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', '(' .. now, 'LIMIT', 0, 2)) do
    redis.call('ZREM', KEYS[4], entry)
    if redis.call('EXISTS', ARGV[4] .. entry:sub(17)) == 0 then
      redis.call('ZREM', KEYS[3], entry)
    end
  end
else
  redis.call('PERSIST', KEYS[1])
  redis.call('SET', KEYS[2], ARGV[1] .. ' ' .. ARGV[2])
end
return 1
