-- Takes a dead run out of its queue: back to the tail of its list, or away for good.
-- ARGV: base, list, run, clock shift, revive (1) or bury (0)
local base, list, run, revive = ARGV[1], ARGV[2], ARGV[3], ARGV[5] == '1'
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[4])
redis.call('HDEL', 'vconductor:dead', run)
if redis.call('ZREM', base .. ':dead', run) == 0 then return 0 end
local key = base .. ':run:' .. run
local found = redis.call('HMGET', key, 'u', 'q')
local uuid, queue = found[1], found[2]
redis.call('ZREM', 'vconductor:letters:' .. queue, run)
redis.call('LREM', queue, 1, uuid)
if queue == 'DLQ:' .. list then
  local kept = {}
  for word in (redis.call('HGET', base .. ':deadof', uuid) or ''):gmatch('%S+') do
    if word ~= run then kept[#kept + 1] = word end
  end
  if #kept == 0 then redis.call('HDEL', base .. ':deadof', uuid)
  else redis.call('HSET', base .. ':deadof', uuid, table.concat(kept, ' ')) end
end
if revive then
  redis.call('HDEL', key, 'a', 'c', 'w', 'wf', 'ws', 'f', 'q', 'd')
  redis.call('HSET', key, 'n', now)
  local bound = redis.call('HGET', base .. ':bound', uuid)
  redis.call('HSET', base .. ':bound', uuid, bound and (bound .. ' ' .. run) or run)
  redis.call('RPUSH', list, uuid)
else
  redis.call('DEL', key, '{vcon:' .. uuid .. '}:ledger:' .. run)
  local keep = redis.call('GET', '{vcon:' .. uuid .. '}:keep')
  if keep then redis.call('PEXPIRE', 'vcon:' .. uuid, keep) end
end
return 1
