-- Claims runs for a living process: ids only, documents are loaded afterwards.
-- KEYS: processes, paused, lists...
-- ARGV: process, batch, prefix of new run ids, clock shift, limit, bytes, holds any, holds a solo run,
--       solo from so many crashes, turn, credit, first and longest back-off, RedisJSON,
--       from which size a document is large; then per list: limit, weight, base
-- Answers: alive, turn, credit, state of each list (0 empty, 1 more, 2 closed for now), runs as
--          (list, entry, run, uuid, has a record, 1 if it is RedisJSON, plus 2 if it is large)
local process, batch, prefix = ARGV[1], ARGV[2], ARGV[3]
if not redis.call('ZSCORE', KEYS[1], process) then return {0} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[4])
local limit, budget = tonumber(ARGV[5]), tonumber(ARGV[6])
local held_any, held_solo, solo_at = ARGV[7] == '1', ARGV[8] == '1', tonumber(ARGV[9])
local turn, credit = tonumber(ARGV[10]), tonumber(ARGV[11])
local backoff, backoff_max, json = tonumber(ARGV[12]), tonumber(ARGV[13]), ARGV[14] == '1'
local large = tonumber(ARGV[15])
local CHUNK, SET_ASIDE = 64, 256

local lanes = {}
for i = 1, #KEYS - 2 do
  local at = 15 + (i - 1) * 3
  local lane = { list = KEYS[i + 2], left = tonumber(ARGV[at + 1]), weight = math.max(tonumber(ARGV[at + 2]), 1),
    base = ARGV[at + 3], ahead = {}, at = 1, offset = 0, popped = 0, returned = true, elements = {} }
  lane.paused = redis.call('SISMEMBER', KEYS[2], lane.list) == 1
  if lane.paused then lane.left = 0 end
  lanes[i] = lane
end

local function record(lane, run) return lane.base .. ':run:' .. run end
local function lease(uuid) return '{vcon:' .. uuid .. '}:writer' end

-- Runs whose writer is done go on before everything that came after them; one per vCon.
local function wake(lane)
  local woken = {}
  for _, run in ipairs(redis.call('ZRANGE', lane.base .. ':waiters', 0, CHUNK - 1)) do
    local key = record(lane, run)
    local found = redis.call('HMGET', key, 'u', 't', 'e')
    local uuid, target = found[1], found[2]
    if not uuid then
      redis.call('ZREM', lane.base .. ':waiters', run)
    elseif not woken[uuid] and redis.call('EXISTS', lease(uuid)) == 0
      and not (target and redis.call('EXISTS', lease(target)) == 1) then
      woken[uuid] = true
      redis.call('ZREM', lane.base .. ':waiters', run)
      redis.call('ZREM', lane.base .. ':due', run)
      redis.call('ZADD', lane.base .. ':returned', found[3], run)
    end
  end
end

local function peek(lane)
  if lane.left <= 0 then return nil end
  while lane.at > #lane.ahead do
    lane.ahead, lane.at = {}, 1
    if lane.returned then
      -- What is taken leaves the set at once, so the next ones are always in front.
      local runs = redis.call('ZRANGE', lane.base .. ':returned', 0, CHUNK - 1)
      lane.returned = #runs > 0
      for _, run in ipairs(runs) do
        local found = redis.call('HMGET', record(lane, run), 'u', 'e', 't', 'c')
        if found[1] then
          lane.ahead[#lane.ahead + 1] = { run = run, uuid = found[1], entry = tonumber(found[2]), target = found[3],
            crashes = tonumber(found[4]) or 0, returned = true }
        else
          redis.call('ZREM', lane.base .. ':returned', run)
        end
      end
    else
      local ids = redis.call('LRANGE', lane.list, lane.offset, lane.offset + math.min(lane.left, CHUNK) - 1)
      if #ids == 0 then
        lane.left, lane.empty = 0, true
        return nil
      end
      lane.offset = lane.offset + #ids
      -- Contexts are rare: one question for all of them.
      local contexts = {}
      for i, uuid in ipairs(ids) do
        lane.ahead[i] = { uuid = uuid, crashes = 0 }
        contexts[i] = 'context:' .. lane.list .. ':' .. uuid
      end
      lane.contexts = redis.call('EXISTS', unpack(contexts)) > 0
    end
  end
  return lane.ahead[lane.at]
end

local numbered = 0
local function new_run()
  numbered = numbered + 1
  return prefix .. string.format('%04x', numbered)
end

local function next_entry(lane)
  if not lane.entry then lane.entry = tonumber(redis.call('GET', lane.base .. ':entry')) or 0 end
  lane.entry = lane.entry + 1
  return lane.entry
end

-- A uuid on the list may stand for a run that was dead: revived by us, or moved here by another program.
local function continued(lane, uuid)
  if lane.bound == nil then
    lane.bound = redis.call('EXISTS', lane.base .. ':bound') == 1
    lane.dead = redis.call('EXISTS', lane.base .. ':deadof') == 1
  end
  if lane.bound then
    local runs = redis.call('HGET', lane.base .. ':bound', uuid)
    if runs then
      local first, rest = runs:match('^(%S+)%s*(.*)$')
      if rest == '' then redis.call('HDEL', lane.base .. ':bound', uuid)
      else redis.call('HSET', lane.base .. ':bound', uuid, rest) end
      return first
    end
  end
  if lane.dead then
    local runs = redis.call('HGET', lane.base .. ':deadof', uuid)
    if runs then
      local words = {}
      for word in runs:gmatch('%S+') do words[#words + 1] = word end
      if #redis.call('LPOS', 'DLQ:' .. lane.list, uuid, 'COUNT', 0) < #words then
        local run = table.remove(words)
        if #words == 0 then redis.call('HDEL', lane.base .. ':deadof', uuid)
        else redis.call('HSET', lane.base .. ':deadof', uuid, table.concat(words, ' ')) end
        redis.call('ZREM', lane.base .. ':dead', run)
        redis.call('HDEL', 'vconductor:dead', run)
        redis.call('ZREM', 'vconductor:letters:DLQ:' .. lane.list, run)
        redis.call('HDEL', record(lane, run), 'a', 'c', 'w', 'wf', 'ws', 'f', 'q', 'd')
        redis.call('HSET', record(lane, run), 'n', now)
        return run
      end
    end
  end
end

-- Gives a run from the list its identity, now that it leaves the list.
local function identify(lane, candidate)
  lane.popped = lane.popped + 1
  candidate.entry = next_entry(lane)
  candidate.run = continued(lane, candidate.uuid)
  if candidate.run then
    candidate.known = true
    redis.call('HSET', record(lane, candidate.run), 'e', candidate.entry)
    candidate.target = redis.call('HGET', record(lane, candidate.run), 't')
    return
  end
  candidate.run = new_run()
  local context = lane.contexts and redis.call('LPOP', 'context:' .. lane.list .. ':' .. candidate.uuid)
  if context then
    candidate.known = true
    redis.call('HSET', record(lane, candidate.run), 'u', candidate.uuid, 'e', candidate.entry, 'x', context)
  end
end

local function take_leases(candidate)
  if not redis.call('SET', lease(candidate.uuid), candidate.run, 'NX') then return false end
  local target = candidate.target
  if target and target ~= candidate.uuid and not redis.call('SET', lease(target), candidate.run, 'NX') then
    redis.call('DEL', lease(candidate.uuid))
    return false
  end
  return true
end

local function set_aside(lane, candidate)
  local key, waits = record(lane, candidate.run), 1
  redis.call('HSET', key, 'u', candidate.uuid, 'e', candidate.entry)
  redis.call('HSETNX', key, 'n', now)
  if redis.call('HGET', key, 'wf') == '"writer"' then
    waits = redis.call('HINCRBY', key, 'w', 1)
  else
    redis.call('HSET', key, 'w', 1, 'wf', '"writer"', 'ws', now)
  end
  local pause = math.min(backoff * 2 ^ math.min(waits - 1, 16), backoff_max)
  redis.call('ZADD', lane.base .. ':due', now + pause, candidate.run)
  redis.call('ZADD', lane.base .. ':waiters', candidate.entry, candidate.run)
end

-- Size of a document; also keeps it from expiring while a run holds it.
local function measure(uuid)
  local key = 'vcon:' .. uuid
  local is_json = json and redis.call('TYPE', key).ok == 'ReJSON-RL'
  local size = is_json and redis.pcall('JSON.DEBUG', 'MEMORY', key, '.') or redis.pcall('STRLEN', key)
  return tonumber(size) or 0, is_json
end

local function persist(uuid)
  local key = 'vcon:' .. uuid
  local left = redis.call('PTTL', key)
  if left >= 0 then
    redis.call('SET', '{' .. key .. '}:keep', left, 'NX')
    redis.call('PERSIST', key)
  end
end

local function next_turn()
  for step = 0, #lanes do
    local index = (turn - 1 + step) % #lanes + 1
    local left = step == 0 and credit or lanes[index].weight
    if left > 0 and lanes[index].left > 0 and peek(lanes[index]) then
      turn, credit = index, left
      return lanes[index]
    end
  end
end

local taken, bytes, aside, blocked = {}, 0, 0, held_solo

local function stopped_by_solo()
  -- A run that must go alone is never overtaken for ever: from any list's head it stops the others.
  for index, lane in ipairs(lanes) do
    local head = peek(lane)
    if head and head.crashes >= solo_at then
      if held_any then return true end
      turn, credit = index, 1
      return false
    end
  end
  return false
end

for _, lane in ipairs(lanes) do
  if not lane.paused then wake(lane) end
end
if not blocked then blocked = stopped_by_solo() end
while not blocked and #taken < limit and aside < SET_ASIDE do
  local lane = next_turn()
  if not lane then break end
  local candidate = peek(lane)
  local alone = candidate.crashes >= solo_at
  local first = not held_any and #taken == 0
  local size, is_json = measure(candidate.uuid)
  if (alone and not first) or (not first and bytes + size > budget) then
    -- The turn stays here, so that smaller documents of other lists cannot keep it out for ever.
    blocked, credit = true, math.max(credit, 1)
    break
  end
  lane.at = lane.at + 1
  if candidate.returned then
    redis.call('ZREM', lane.base .. ':returned', candidate.run)
    candidate.known = true
  else
    identify(lane, candidate)
  end
  if take_leases(candidate) then
    persist(candidate.uuid)
    if candidate.target then persist(candidate.target) end
    bytes = bytes + size
    lane.left, credit = lane.left - 1, credit - 1
    lane.elements[#lane.elements + 1] = candidate.entry .. ' ' .. candidate.run .. ' ' .. candidate.uuid
    taken[#taken + 1] = { turn, candidate.entry, candidate.run, candidate.uuid,
      candidate.known and 1 or 0, (is_json and 1 or 0) + (size >= large and 2 or 0) }
    blocked = alone
  else
    set_aside(lane, candidate)
    aside = aside + 1
  end
end

local states = {}
for index, lane in ipairs(lanes) do
  if lane.popped > 0 then
    redis.call('LTRIM', lane.list, lane.popped, -1)
    redis.call('SET', lane.base .. ':entry', lane.entry)
  end
  if #lane.elements > 0 then
    for from = 1, #lane.elements, 1000 do
      local to = math.min(from + 999, #lane.elements)
      redis.call('RPUSH', lane.base .. ':wip:' .. process .. ':' .. batch, unpack(lane.elements, from, to))
    end
    redis.call('SADD', lane.base .. ':wips', process .. ':' .. batch)
  end
  if lane.paused or blocked then states[index] = 2
  elseif peek(lane) then states[index] = 1
  elseif lane.empty and redis.call('EXISTS', lane.base .. ':waiters') == 0 then states[index] = 0
  else states[index] = 2 end
end
return { 1, turn, credit, states, taken }
