-- Makes the draft of a large document the document; its time to live stays. ARGV: draft, document
local left = redis.call('PTTL', ARGV[2])
if redis.call('EXISTS', ARGV[1]) == 0 then return redis.error_reply('ERR the draft of a large document has gone') end
redis.call('RENAME', ARGV[1], ARGV[2])
if left > 0 then redis.call('PEXPIRE', ARGV[2], left) else redis.call('PERSIST', ARGV[2]) end
return 1
