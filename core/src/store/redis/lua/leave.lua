-- Takes runs out of a wip list that may hold others as well. ARGV: wip lists, its name, its key, elements...
for i = 4, #ARGV do redis.call('LREM', ARGV[3], 1, ARGV[i]) end
if redis.call('EXISTS', ARGV[3]) == 0 then redis.call('SREM', ARGV[1], ARGV[2]) end
return 1
