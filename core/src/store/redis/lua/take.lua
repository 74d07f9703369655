-- Takes a permit out of the first alternative that has room in all of its windows; all wants or none.
-- ARGV: clock shift, permit, process ('' for none), how long a call is under way at most (ms), the wait while that is
-- what room depends on (ms), number of alternatives; then per alternative the number of its wants, and per want: limit, most,
-- window (ms), amount. Amounts are thousandths.
-- Answers: the alternative (-1 for none), the wait (ms)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[1])
local permit, process, flight, unknown = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local shared = '{vconductor:shared}:'

-- An entry of a window is `<amount>:<permit>`.
local function amount_of(entry) return tonumber(entry:match('^%d+')) end

-- Forgets what has left; answers how much that was. When the clock was turned back nothing counts longer than if it had
-- begun now.
local function leave(key, longest)
  local gone = 0
  repeat
    local over = redis.call('ZRANGEBYSCORE', key, '-inf', now, 'LIMIT', 0, 1000)
    for _, entry in ipairs(over) do gone = gone + amount_of(entry) end
    if #over > 0 then redis.call('ZREM', key, unpack(over)) end
  until #over < 1000
  for _, entry in ipairs(redis.call('ZRANGEBYSCORE', key, '(' .. string.format('%.0f', now + longest), '+inf')) do
    redis.call('ZADD', key, now + longest, entry)
  end
  return gone
end

local function write(want, used)
  local life = math.max(redis.call('PTTL', want.used), flight + want.window)
  redis.call('SET', want.used, string.format('%.0f', used), 'PX', life)
  redis.call('PEXPIRE', want.ended, life)
  redis.call('PEXPIRE', want.flying, life)
end

-- How much is used, after what has left is gone.
local function used(want)
  local gone = leave(want.ended, want.window + 1) + leave(want.flying, flight)
  local sum = tonumber(redis.call('GET', want.used) or '')
  if not sum then
    sum = 0
    for _, key in ipairs({ want.ended, want.flying }) do
      for _, entry in ipairs(redis.call('ZRANGE', key, 0, -1)) do sum = sum + amount_of(entry) end
    end
  elseif gone > 0 then
    sum = math.max(sum - gone, 0)
    write(want, sum)
  end
  return sum
end

-- How long until a limit has room; 0 if it has.
local function wait(want)
  want.sum = used(want)
  if want.most == 0 then return math.max(want.window, unknown) end
  local missing = want.sum + want.amount - want.most
  if missing <= 0 then return 0 end
  local from = 0
  repeat
    local page = redis.call('ZRANGE', want.ended, from, from + 99, 'WITHSCORES')
    for i = 1, #page, 2 do
      missing = missing - amount_of(page[i])
      if missing <= 0 then return math.max(tonumber(page[i + 1]) - now, 1) end
    end
    from = from + 100
  until #page < 200
  return unknown
end

-- It was given back before it was granted: nobody waits for the answer.
if redis.call('EXISTS', shared .. 'permit:' .. permit) == 1 then return { -1, unknown } end

local at, shortest = 7, -1
for alternative = 0, tonumber(ARGV[6]) - 1 do
  local wants, longest = {}, 0
  local last = at + 4 * tonumber(ARGV[at])
  for i = at + 1, last, 4 do
    local limit, most = ARGV[i], tonumber(ARGV[i + 1])
    local want = {
      limit = limit,
      most = most,
      window = tonumber(ARGV[i + 2]),
      amount = math.min(tonumber(ARGV[i + 3]), most),
      used = shared .. 'used:' .. limit,
      ended = shared .. 'ended:' .. limit,
      flying = shared .. 'flying:' .. limit,
    }
    longest = math.max(longest, wait(want))
    wants[#wants + 1] = want
  end
  at = last + 1
  if longest == 0 then
    for _, want in ipairs(wants) do
      local amount = string.format('%.0f', want.amount)
      redis.call('ZADD', want.flying, now + flight, amount .. ':' .. permit)
      write(want, want.sum + want.amount)
      redis.call('HSET', shared .. 'permit:' .. permit, 'l:' .. want.limit, amount .. ':' .. want.window)
    end
    if #wants > 0 then redis.call('PEXPIRE', shared .. 'permit:' .. permit, flight) end
    -- A process that was declared dead meanwhile has nobody who would end its permits.
    if #wants > 0 and redis.call('ZSCORE', 'vconductor:processes', process) then
      redis.call('HSET', shared .. 'permit:' .. permit, 'process', process)
      for _, set in ipairs({ { 'permits:' .. process, permit }, { 'holders', process } }) do
        redis.call('SADD', shared .. set[1], set[2])
        redis.call('PEXPIRE', shared .. set[1], flight)
      end
    end
    return { alternative, 0 }
  end
  shortest = shortest < 0 and longest or math.min(shortest, longest)
end
return { -1, math.max(shortest, 1) }
