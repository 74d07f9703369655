-- Keeps from expiring what would expire within the horizon although it waits on a list.
-- ARGV: what (waiting | returned | due | parked), list, base, from, count, horizon, keep of vCons that have none
-- Answers: how many were looked at
local what, list, base = ARGV[1], ARGV[2], ARGV[3]
local from, to = tonumber(ARGV[4]), tonumber(ARGV[4]) + tonumber(ARGV[5]) - 1
local horizon, default = tonumber(ARGV[6]), tonumber(ARGV[7])
local ids
if what == 'waiting' then ids = redis.call('LRANGE', list, from, to)
else ids = redis.call('ZRANGE', base .. ':' .. what, from, to) end
for _, id in ipairs(ids) do
  local uuid = id
  if what ~= 'waiting' then uuid = redis.call('HGET', base .. ':run:' .. id, 'u') end
  if uuid then
    local key = 'vcon:' .. uuid
    local left = redis.call('PTTL', key)
    if left >= 0 and left < horizon then
      redis.call('SET', '{' .. key .. '}:keep', math.max(left, default), 'NX')
      redis.call('PERSIST', key)
    end
  end
end
return #ids
