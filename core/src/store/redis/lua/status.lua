-- How a list stands. KEYS: paused. ARGV: list, base, until
-- Answers: waiting, claimed, scheduled, parked, dead, paused, oldest, due within, parked due within
local list, base, till = ARGV[1], ARGV[2], ARGV[3]
local claimed = 0
for _, name in ipairs(redis.call('SMEMBERS', base .. ':wips')) do
  claimed = claimed + redis.call('LLEN', base .. ':wip:' .. name)
end
local waiting = redis.call('ZCARD', base .. ':returned')
local oldest = false
local first = redis.call('ZRANGE', base .. ':returned', 0, 0)[1]
if first then oldest = redis.call('HGET', base .. ':run:' .. first, 'n') end
if redis.call('TYPE', list).ok == 'list' then
  waiting = waiting + redis.call('LLEN', list)
  if not first then
    -- A bare uuid has no time of its own; its document was written just before it was pushed. Where another program
    -- wrote it, a sweep has noted when it saw the uuid at the head.
    local head = redis.call('LINDEX', list, 0)
    if head then
      oldest = redis.call('GET', '{vcon:' .. head .. '}:rev')
      local seen, at = (redis.call('GET', base .. ':head') or ''):match('^(.*) (%d+)$')
      if not oldest and seen == head then oldest = at end
    end
  end
end
return { waiting, claimed, redis.call('ZCARD', base .. ':due'), redis.call('ZCARD', base .. ':parked'),
  redis.call('ZCARD', base .. ':dead'), redis.call('SISMEMBER', KEYS[1], list), oldest,
  redis.call('ZCOUNT', base .. ':due', '-inf', till), redis.call('ZCOUNT', base .. ':parked', '-inf', till) }
