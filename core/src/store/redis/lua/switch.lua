-- Takes the writer lease of another vCon for a held run. ARGV: base, wip list, element, run, own uuid, other uuid, former
-- Answers: 0 the claim is lost, 1 the other vCon is busy, 2 taken, 3 there is no such vCon
local base, wip, element, run, own, other, former = unpack(ARGV)
if not redis.call('LPOS', wip, element) then return 0 end
local lease = '{vcon:' .. other .. '}:writer'
local holder = redis.call('GET', lease)
if holder and holder ~= run then return 1 end
if redis.call('EXISTS', 'vcon:' .. other) == 0 then return 3 end
redis.call('SET', lease, run)
if other ~= own then redis.call('HSET', base .. ':run:' .. run, 's', other) end
if former ~= '' and former ~= other and former ~= own then redis.call('DEL', '{vcon:' .. former .. '}:writer') end
local left = redis.call('PTTL', 'vcon:' .. other)
if left >= 0 then
  redis.call('SET', '{vcon:' .. other .. '}:keep', left, 'NX')
  redis.call('PERSIST', 'vcon:' .. other)
end
return 2
