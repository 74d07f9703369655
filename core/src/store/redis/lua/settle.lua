-- Ends the call of a permit, or those of all processes that are over: from now on each counts as long as its windows are.
-- ARGV: clock shift, permit ('' for those of processes that are over), how long a permit that is not known is not granted any
-- more (ms; 0: it may be), then per limit whose amount is known: limit, amount.
-- Answers: how many permits
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[1])
local shared = '{vconductor:shared}:'
local known = {}
for i = 4, #ARGV, 2 do known[ARGV[i]] = ARGV[i + 1] end

local function settle(permit)
  local key = shared .. 'permit:' .. permit
  local found = redis.call('HGETALL', key)
  for i = 1, #found, 2 do
    local limit = found[i]:match('^l:(.*)$')
    if limit then
      local estimate, window = found[i + 1]:match('^(%d+):(%d+)$')
      local amount = known[limit] or estimate
      local used, ended, flying = shared .. 'used:' .. limit, shared .. 'ended:' .. limit, shared .. 'flying:' .. limit
      if redis.call('ZREM', flying, estimate .. ':' .. permit) == 1 then
        -- The millisecond that has begun counts whole.
        redis.call('ZADD', ended, now + 1 + tonumber(window), amount .. ':' .. permit)
        local sum = tonumber(redis.call('GET', used) or '')
        local life = math.max(redis.call('PTTL', used), tonumber(window) + 1000)
        -- Without a sum the next one who takes a permit adds it up.
        if sum then
          sum = math.max(sum + tonumber(amount) - tonumber(estimate), 0)
          redis.call('SET', used, string.format('%.0f', sum), 'PX', life)
        end
        redis.call('PEXPIRE', ended, life)
        redis.call('PEXPIRE', flying, life)
      end
    elseif found[i] == 'process' then
      local permits = shared .. 'permits:' .. found[i + 1]
      redis.call('SREM', permits, permit)
      if redis.call('EXISTS', permits) == 0 then redis.call('SREM', shared .. 'holders', found[i + 1]) end
    end
  end
  redis.call('DEL', key)
  if #found == 0 and tonumber(ARGV[3]) > 0 then
    -- The question that nobody waits for any more may still be on its way.
    redis.call('HSET', key, 'over', 1)
    redis.call('PEXPIRE', key, ARGV[3])
  end
  return #found > 0 and 1 or 0
end

if ARGV[2] ~= '' then return settle(ARGV[2]) end
local settled = 0
for _, process in ipairs(redis.call('SMEMBERS', shared .. 'holders')) do
  if not redis.call('ZSCORE', 'vconductor:processes', process) then
    for _, permit in ipairs(redis.call('SMEMBERS', shared .. 'permits:' .. process)) do
      settled = settled + settle(permit)
    end
    redis.call('DEL', shared .. 'permits:' .. process)
    redis.call('SREM', shared .. 'holders', process)
  end
end
return settled
