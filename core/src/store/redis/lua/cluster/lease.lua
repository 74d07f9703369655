-- Takes the writer lease of a vCon. A run keeps it through a crash: whoever claims the run anew takes it over, and what
-- the former holder still saves under its own token is refused.
-- KEYS: writer, document, keep. ARGV: run, token. Answers: whether it was taken
local holder = redis.call('GET', KEYS[1])
if holder and holder:match('^%x+') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2])
local left = redis.call('PTTL', KEYS[2])
if left >= 0 then
  redis.call('SET', KEYS[3], left, 'NX')
  redis.call('PERSIST', KEYS[2])
end
return 1
