-- Says whose a vCon is that is taken in. Stands in front of ingest.lua, which does the rest.
-- ARGV, behind those of ingest.lua: tenant ('': a new vCon is of that of its parent), parent, created_at (s)
local owner = { tenant = ARGV[#ARGV - 2], parent = ARGV[#ARGV - 1], created = ARGV[#ARGV] }
local ARGV = { unpack(ARGV, 1, #ARGV - 3) }
do
  local key = '{vcon:' .. ARGV[1] .. '}:tenant'
  local former, tenant = redis.call('GET', key), owner.tenant
  local is_new =
    redis.call('ZADD', 'vconductor:documents', 'NX', redis.call('INCR', 'vconductor:arrivals'), ARGV[1]) == 1
  if tenant == '' then
    tenant = former
    if is_new then tenant = redis.call('GET', '{vcon:' .. owner.parent .. '}:tenant') end
  end
  if former and former ~= tenant then
    redis.call('DEL', key)
    redis.call('ZREM', 'vconductor:tenant:' .. former .. ':arrivals', ARGV[1])
    redis.call('ZREM', 'vconductor:tenant:' .. former .. ':times', ARGV[1])
  end
  if tenant then
    local of = 'vconductor:tenant:' .. tenant
    redis.call('SET', key, tenant)
    redis.call('ZADD', of .. ':arrivals', redis.call('ZSCORE', 'vconductor:documents', ARGV[1]), ARGV[1])
    redis.call('ZADD', of .. ':times', owner.created, ARGV[1])
  end
end
