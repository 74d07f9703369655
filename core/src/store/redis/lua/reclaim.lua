-- Takes back what a process holds: it left (0), it is dead (1), or only some batches or runs of them that it does not know of (2).
-- KEYS: processes. ARGV: mode, process, clock shift, lease, since when the server is up, poison at, failure in three
-- parts around crashes and attempts, dead-letter keep, number of lists; then per list: base, name; then `batch` or `batch run` (mode 2)
-- Answers: whether it did, runs as (run, list, crashes, dead)
local mode, process = tonumber(ARGV[1]), ARGV[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[3])
local lease, up_since, poison_at = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local keep, lists = tonumber(ARGV[10]), tonumber(ARGV[11])
local until_ = tonumber(redis.call('ZSCORE', KEYS[1], process) or -1)
if mode == 1 and until_ >= 0 then
  -- A process that could not renew because the server was down gets two leases to come back.
  if until_ - lease < up_since then until_ = math.max(until_, up_since + 2 * lease) end
  if until_ > now then return {0, {}} end
end

local only
if mode == 2 then
  only = {}
  for i = 12 + 2 * lists, #ARGV do
    local batch, run = ARGV[i]:match('^(%x+) ?(%x*)$')
    only[batch] = only[batch] or {}
    only[batch][run] = true
  end
else
  redis.call('ZREM', KEYS[1], process)
  redis.call('DEL', 'vconductor:commits:' .. process)
end

local function free(uuid, run)
  local key = '{vcon:' .. uuid .. '}:writer'
  if redis.call('GET', key) == run then redis.call('DEL', key) end
end

local function bury(base, list, key, run, uuid, crashes)
  local attempts = redis.call('HGET', key, 'a') or 0
  local queue = 'DLQ:' .. list
  redis.call('HDEL', key, 'w', 'wf', 'ws')
  redis.call('HSET', key, 'f', ARGV[7] .. crashes .. ARGV[8] .. attempts .. ARGV[9], 'q', queue, 'd', now, 'i', list)
  redis.call('ZADD', base .. ':dead', now, run)
  redis.call('HSET', 'vconductor:dead', run, list)
  redis.call('ZADD', 'vconductor:letters:' .. queue, 0, run)
  redis.call('RPUSH', queue, uuid)
  local runs = redis.call('HGET', base .. ':deadof', uuid)
  redis.call('HSET', base .. ':deadof', uuid, runs and (runs .. ' ' .. run) or run)
  if keep > 0 and redis.call('EXISTS', '{vcon:' .. uuid .. '}:keep') == 1 then
    redis.call('PEXPIRE', 'vcon:' .. uuid, keep)
  end
end

local found = {}
for i = 1, lists do
  local base, list = ARGV[10 + 2 * i], ARGV[11 + 2 * i]
  for _, name in ipairs(redis.call('SMEMBERS', base .. ':wips')) do
    local owner, batch = name:match('^(.*):(%x+)$')
    if owner == process and (not only or only[batch]) then
      local wip = base .. ':wip:' .. name
      local whole = not only or only[batch]['']
      for _, element in ipairs(redis.call('LRANGE', wip, 0, -1)) do
        local entry, run, uuid = element:match('^(%d+) (%x+) (.*)$')
        if whole or only[batch][run] then
          found[#found + 1] = { base = base, list = list, entry = tonumber(entry), run = run, uuid = uuid }
          if not whole then redis.call('LREM', wip, 1, element) end
        end
      end
      -- The fence: whoever watches the list and still means to commit changes nothing.
      if whole then redis.call('DEL', wip) end
      if redis.call('EXISTS', wip) == 0 then redis.call('SREM', base .. ':wips', name) end
    end
  end
end
table.sort(found, function(a, b) return a.list == b.list and a.entry < b.entry or a.list < b.list end)

local answer, rung = {}, {}
for _, held in ipairs(found) do
  local key = held.base .. ':run:' .. held.run
  local other = redis.call('HMGET', key, 's', 't')
  free(held.uuid, held.run)
  if other[1] then free(other[1], held.run) end
  if other[2] then free(other[2], held.run) end
  redis.call('HDEL', key, 's')
  redis.call('HSET', key, 'u', held.uuid, 'e', held.entry)
  redis.call('HSETNX', key, 'n', now)
  local crashes = 0
  if mode == 1 then crashes = redis.call('HINCRBY', key, 'c', 1) end
  local dead = mode == 1 and crashes >= poison_at
  if dead then bury(held.base, held.list, key, held.run, held.uuid, crashes)
  else
    redis.call('ZADD', held.base .. ':returned', held.entry, held.run)
    rung[held.base] = true
  end
  answer[#answer + 1] = { held.run, held.list, crashes, dead and 1 or 0 }
end
for base in pairs(rung) do redis.pcall('PUBLISH', 'vconductor:bell', base) end
return { 1, answer }
