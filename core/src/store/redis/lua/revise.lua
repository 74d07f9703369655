-- Puts a dead run back changed: under another id, on another list, with another ledger.
-- ARGV: base, list, run, uuid, queue, time of death, then the new base, list, run, ledger ('' for none),
--       target ('' for none), whether it is still parked (1), clock shift
local base, list, run, uuid, queue = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local new_base, new_list, new_run, ledger, target = ARGV[7], ARGV[8], ARGV[9], ARGV[10], ARGV[11]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[13])
local key = base .. ':run:' .. run
if not redis.call('ZSCORE', base .. ':dead', run) then return 0 end
local failure = redis.call('HGET', key, 'f')
-- The letter that was looked at is the one that is meant: a run may have been revived and have died again since.
if not failure or string.format('%.0f', cjson.decode(failure).at) ~= ARGV[6] then return 0 end
redis.call('HDEL', 'vconductor:dead', run)
redis.call('ZREM', base .. ':dead', run)
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
local resumption, context = redis.call('HGET', key, 'r'), redis.call('HGET', key, 'x')
redis.call('DEL', key, '{vcon:' .. uuid .. '}:ledger:' .. run)
local new_key = new_base .. ':run:' .. new_run
redis.call('HSET', new_key, 'u', uuid, 'n', now)
if resumption and ARGV[12] == '1' then redis.call('HSET', new_key, 'r', resumption) end
if context then redis.call('HSET', new_key, 'x', context) end
if target ~= '' then redis.call('HSET', new_key, 't', target) end
if ledger ~= '' then
  redis.call('SET', '{vcon:' .. uuid .. '}:ledger:' .. new_run, ledger)
  redis.call('HSET', new_key, 'l', 1)
end
local bound = redis.call('HGET', new_base .. ':bound', uuid)
redis.call('HSET', new_base .. ':bound', uuid, bound and (bound .. ' ' .. new_run) or new_run)
redis.call('RPUSH', new_list, uuid)
redis.call('SADD', 'vconductor:lists', new_list)
return 1
