-- Carries out an entry of an outbox: ends a writer lease, if it is still that of this claim.
-- KEYS: writer, document, keep. ARGV: run, token
if redis.call('GET', KEYS[1]) ~= ARGV[1] .. ' ' .. ARGV[2] then return 0 end
redis.call('DEL', KEYS[1])
local keep = redis.call('GET', KEYS[3])
if keep then redis.call('PEXPIRE', KEYS[2], keep) end
return 1
