-- Writes records of dead letters that another program put on a queue. ARGV: base, list, queue, now, failure, then per
-- letter: uuid, run. Answers: how many; one that has gone from the queue meanwhile gets none
local base, list, queue, now = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local adopted = 0
for i = 6, #ARGV, 2 do
  local uuid, run = ARGV[i], ARGV[i + 1]
  local runs, known = redis.call('HGET', base .. ':deadof', uuid), 0
  for _ in (runs or ''):gmatch('%S+') do known = known + 1 end
  if #redis.call('LPOS', queue, uuid, 'COUNT', known + 1) > known then
    redis.call('HSET', base .. ':run:' .. run, 'u', uuid, 'n', now, 'f', ARGV[5], 'q', queue, 'd', now, 'i', list)
    redis.call('ZADD', base .. ':dead', now, run)
    redis.call('HSET', 'vconductor:dead', run, list)
    redis.call('ZADD', 'vconductor:letters:' .. queue, 0, run)
    redis.call('HSET', base .. ':deadof', uuid, runs and (runs .. ' ' .. run) or run)
    adopted = adopted + 1
  end
end
if adopted > 0 then redis.call('SADD', 'vconductor:lists', list) end
return adopted
