-- Takes a waiting run of a vCon off a list and puts it at the tail of a list, as a new run.
-- ARGV: from, its base, to, its base, uuid, new run, ledger ('' for none), clock shift
-- Answers 1 if it is there now, 2 if it has begun and stays, 0 if it is gone
local from, base, to, to_base, uuid = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
-- As many of the first places as there are revived runs stand for those.
local begun, place = 0, 1
for _ in (redis.call('HGET', base .. ':bound', uuid) or ''):gmatch('%S+') do begun = begun + 1 end
if begun > 0 then
  if #redis.call('LPOS', from, uuid, 'COUNT', 0) <= begun then return 2 end
  place = -1
end
if redis.call('LREM', from, place, uuid) == 0 then return 0 end
local context = redis.call('LPOP', 'context:' .. from .. ':' .. uuid)
if ARGV[7] ~= '' then
  new_run(to_base, to, uuid, ARGV[6], ARGV[7], context, ARGV[8])
else
  redis.call('RPUSH', to, uuid)
  if context then redis.call('RPUSH', 'context:' .. to .. ':' .. uuid, context) end
end
redis.call('SADD', 'vconductor:lists', to)
return 1
