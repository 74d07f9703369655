-- What goes with a vCon that is taken in; runs inside the transaction that stores the document.
-- ARGV: uuid, clock shift, has a document, keep (ms or -1), context, context expiry (s), lists...
local uuid, has_document, keep = ARGV[1], ARGV[3] == '1', tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[2])
local key = 'vcon:' .. uuid
if has_document then
  local known = tonumber(redis.call('GET', '{' .. key .. '}:rev') or 0)
  redis.call('SET', '{' .. key .. '}:rev', math.max(now, known + 1))
  redis.call('ZADD', 'vconductor:documents', 'NX', redis.call('INCR', 'vconductor:arrivals'), uuid)
end
if keep >= 0 then
  redis.call('SET', '{' .. key .. '}:keep', keep)
  if redis.call('EXISTS', '{' .. key .. '}:writer') == 0 then redis.call('PEXPIRE', key, keep) end
elseif has_document then
  redis.call('DEL', '{' .. key .. '}:keep')
  redis.call('PERSIST', key)
end
for i = 7, #ARGV do
  if ARGV[5] ~= '' then
    local context = 'context:' .. ARGV[i] .. ':' .. uuid
    redis.call('RPUSH', context, ARGV[5])
    redis.call('EXPIRE', context, ARGV[6])
  end
  redis.call('RPUSH', ARGV[i], uuid)
end
return 1
