-- Makes a key ready for JSON.SET, which refuses one of another type: the time to live stays. ARGV: document
local kind = redis.call('TYPE', ARGV[1]).ok
if kind ~= 'none' and kind ~= 'ReJSON-RL' then
  local left = redis.call('PTTL', ARGV[1])
  redis.call('DEL', ARGV[1])
  redis.call('JSON.SET', ARGV[1], '.', '{}')
  if left > 0 then redis.call('PEXPIRE', ARGV[1], left) end
end
return 1
