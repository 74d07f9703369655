-- Moves waiting uuids from the head of one list to the tail of another; runs that have begun stay where they are.
-- ARGV: from, its base, to, limit
local from, base, to, limit = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local begun = {}
local function has_begun(uuid)
  -- A uuid that stands for a revived run: as many of the first ones as there are such runs.
  if begun[uuid] == nil then
    local count = 0
    for _ in (redis.call('HGET', base .. ':bound', uuid) or ''):gmatch('%S+') do count = count + 1 end
    begun[uuid] = count
  end
  begun[uuid] = begun[uuid] - 1
  return begun[uuid] >= 0
end
local moved, stayed, looked = {}, {}, 0
while #moved < limit do
  local uuid = redis.call('LINDEX', from, looked)
  if not uuid then break end
  looked = looked + 1
  if has_begun(uuid) then stayed[#stayed + 1] = uuid else moved[#moved + 1] = uuid end
end
if #moved == 0 then return 0 end
redis.call('LTRIM', from, looked, -1)
for index = #stayed, 1, -1 do redis.call('LPUSH', from, stayed[index]) end
for _, uuid in ipairs(moved) do
  redis.call('RPUSH', to, uuid)
  local context = redis.call('LPOP', 'context:' .. from .. ':' .. uuid)
  if context then redis.call('RPUSH', 'context:' .. to .. ':' .. uuid, context) end
end
redis.call('SADD', 'vconductor:lists', to)
return #moved
