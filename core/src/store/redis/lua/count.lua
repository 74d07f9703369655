-- Adds to a counter that is forgotten some time after. KEYS: counter. ARGV: amount, time to live (ms). Answers: the sum
local sum = redis.call('INCRBYFLOAT', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return sum
