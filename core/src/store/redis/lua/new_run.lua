-- Puts a vCon at the tail of a list as a run that is known before its first claim, with its ledger.
local function new_run(base, list, uuid, run, ledger, context, shift)
  local time = redis.call('TIME')
  local key = base .. ':run:' .. run
  redis.call('HSET', key, 'u', uuid, 'n', time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(shift), 'l', 1)
  if context and context ~= '' then redis.call('HSET', key, 'x', context) end
  redis.call('SET', '{vcon:' .. uuid .. '}:ledger:' .. run, ledger)
  local bound = redis.call('HGET', base .. ':bound', uuid)
  redis.call('HSET', base .. ':bound', uuid, bound and (bound .. ' ' .. run) or run)
  redis.call('RPUSH', list, uuid)
end
