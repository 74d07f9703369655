-- Notes that a result was kept for a vCon. KEYS: the vCon's results. ARGV: result, time to live (ms)
redis.call('SADD', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.max(redis.call('PTTL', KEYS[1]), tonumber(ARGV[2]))))
return 1
