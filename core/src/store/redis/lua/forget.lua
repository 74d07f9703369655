-- Deletes the results that were kept for a vCon, without those that were kept for another one since. ARGV: uuid
local kept = '{vcon:' .. ARGV[1] .. '}:results'
local forgotten = 0
for _, key in ipairs(redis.call('SMEMBERS', kept)) do
  if redis.call('HGET', key, 'u') == ARGV[1] then forgotten = forgotten + redis.call('DEL', key) end
end
redis.call('DEL', kept)
return forgotten
