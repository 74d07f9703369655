-- Ends a claim otherwise than by an ack; runs inside the commit's transaction, after the wip list was cleared.
-- ARGV: base, list, run, uuid, entry, clock shift, kind, and what the kind needs:
--   release | retry due failure | wait due reason | park until token | dead keep queue failure
local base, list, run, uuid, entry, kind = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[7]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[6])
local key = base .. ':run:' .. run
redis.call('HSET', key, 'u', uuid, 'e', entry)
redis.call('HSETNX', key, 'n', now)
redis.call('HDEL', key, 's')

-- Who may not publish is not heard at once; what comes back is there all the same.
local function ring() redis.pcall('PUBLISH', 'vconductor:bell', base) end

if kind == 'release' then
  redis.call('ZADD', base .. ':returned', entry, run)
  ring()
elseif kind == 'retry' then
  redis.call('HINCRBY', key, 'a', 1)
  redis.call('HDEL', key, 'w', 'wf', 'ws')
  redis.call('HSET', key, 'f', ARGV[9])
  redis.call('ZADD', base .. ':due', ARGV[8], run)
elseif kind == 'wait' then
  if redis.call('HGET', key, 'wf') == ARGV[9] then
    redis.call('HINCRBY', key, 'w', 1)
  else
    redis.call('HSET', key, 'w', 1, 'wf', ARGV[9], 'ws', now)
  end
  redis.call('ZADD', base .. ':due', ARGV[8], run)
elseif kind == 'park' then
  local token = ARGV[9]
  redis.call('HDEL', key, 'w', 'wf', 'ws', 'r')
  local early = redis.call('HGET', 'vconductor:early', token)
  local expires = tonumber(redis.call('ZSCORE', 'vconductor:early:due', token) or 0)
  if early then
    redis.call('HDEL', 'vconductor:early', token)
    redis.call('ZREM', 'vconductor:early:due', token)
  end
  if early and expires > now then
    redis.call('HSET', key, 'r', early)
    redis.call('ZADD', base .. ':returned', entry, run)
    ring()
  else
    redis.call('HSET', key, 'k', token)
    redis.call('HSET', 'vconductor:tokens', token, run .. ' ' .. base)
    redis.call('ZADD', base .. ':parked', ARGV[8], run)
  end
elseif kind == 'dead' then
  local keep, queue = tonumber(ARGV[8]), ARGV[9]
  redis.call('HDEL', key, 'w', 'wf', 'ws')
  redis.call('HSET', key, 'f', ARGV[10], 'q', queue, 'd', now, 'i', list)
  redis.call('ZADD', base .. ':dead', now, run)
  redis.call('HSET', 'vconductor:dead', run, list)
  redis.call('ZADD', 'vconductor:letters:' .. queue, 0, run)
  redis.call('RPUSH', queue, uuid)
  if queue == 'DLQ:' .. list then
    local runs = redis.call('HGET', base .. ':deadof', uuid)
    redis.call('HSET', base .. ':deadof', uuid, runs and (runs .. ' ' .. run) or run)
  end
  if keep > 0 and redis.call('EXISTS', '{vcon:' .. uuid .. '}:keep') == 1 then
    redis.call('PEXPIRE', 'vcon:' .. uuid, keep)
  end
end
return 1
