-- Deletes the results that were kept for a vCon that is gone, without those that were kept for another one since, and whose
-- it was. ARGV: uuid
local kept = '{vcon:' .. ARGV[1] .. '}:results'
local forgotten = 0
for _, key in ipairs(redis.call('SMEMBERS', kept)) do
  if redis.call('HGET', key, 'u') == ARGV[1] then forgotten = forgotten + redis.call('DEL', key) end
end
redis.call('DEL', kept)
local key = '{vcon:' .. ARGV[1] .. '}:tenant'
local tenant = redis.call('GET', key)
-- It may have been taken in again meanwhile.
if tenant and redis.call('EXISTS', 'vcon:' .. ARGV[1]) == 0 then
  redis.call('DEL', key)
  redis.call('ZREM', 'vconductor:tenant:' .. tenant .. ':arrivals', ARGV[1])
  redis.call('ZREM', 'vconductor:tenant:' .. tenant .. ':times', ARGV[1])
end
return forgotten
