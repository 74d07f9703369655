-- Keeps from expiring what would expire within the horizon although it waits on a list.
-- ARGV: what (waiting | returned | due | parked), list, base, from, count, horizon, keep of vCons that have none,
--       clock shift
-- Answers: how many were looked at
local what, list, base = ARGV[1], ARGV[2], ARGV[3]
local from, to = tonumber(ARGV[4]), tonumber(ARGV[4]) + tonumber(ARGV[5]) - 1
local horizon, default = tonumber(ARGV[6]), tonumber(ARGV[7])
local ids
if what == 'waiting' then ids = redis.call('LRANGE', list, from, to)
else ids = redis.call('ZRANGE', base .. ':' .. what, from, to) end
if what == 'waiting' and from == 0 then
  -- Since when the head has been there, for `queue`; a document that was written here says it itself.
  local seen = (redis.call('GET', base .. ':head') or ''):match('^(.*) %d+$')
  if #ids == 0 or redis.call('EXISTS', '{vcon:' .. ids[1] .. '}:rev') == 1 then
    if seen then redis.call('DEL', base .. ':head') end
  elseif seen ~= ids[1] then
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[8])
    redis.call('SET', base .. ':head', ids[1] .. ' ' .. string.format('%.0f', now))
  end
end
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
