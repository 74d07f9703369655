-- Settles what became of a transaction whose answer was lost: touching its wip lists makes it fail if it was not
-- executed yet. ARGV: process, lane, wip lists... Answers: number of the lane's last transaction that was executed
for i = 3, #ARGV do
  local first = redis.call('LINDEX', ARGV[i], 0)
  if first then redis.call('LSET', ARGV[i], 0, first) end
end
return redis.call('HGET', 'vconductor:commits:' .. ARGV[1], ARGV[2]) or 0
