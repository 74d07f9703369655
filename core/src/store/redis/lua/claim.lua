-- Claims runs for a living process: ids only, documents are loaded afterwards.
-- KEYS: processes, paused, lists...
-- ARGV: process, batch, prefix of new run ids, clock shift, limit, bytes, holds any, holds a solo run,
--       solo from so many crashes, turn, credit, first and longest back-off, RedisJSON,
--       from which size a document is large; then per list: limit, weight, base
-- Answers: alive, turn, credit, state of each list (0 empty, 1 more, 2 closed for now); then of each claimed run its
--          element (entry, run, uuid), and 8 * list + 1 if it has a record + 2 if its document is RedisJSON + 4 if large
-- Time goes into commands and into strings: what can be asked or written for many runs at once is.
local call = redis.call
local process, batch, prefix = ARGV[1], ARGV[2], ARGV[3]
if not call('ZSCORE', KEYS[1], process) then return {0} end
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[4])
local limit, budget = tonumber(ARGV[5]), tonumber(ARGV[6])
local held_any, held_solo, solo_at = ARGV[7] == '1', ARGV[8] == '1', tonumber(ARGV[9])
local turn, credit = tonumber(ARGV[10]), tonumber(ARGV[11])
local backoff, backoff_max, json = tonumber(ARGV[12]), tonumber(ARGV[13]), ARGV[14] == '1'
local large = tonumber(ARGV[15])
local CHUNK, SET_ASIDE = 64, 256

-- Claimed runs as they are answered, and the leases to write for them: keys and runs in turn.
local elements, places, leases = {}, {}, {}
-- vCons whose leases this claim takes.
local leased = {}
local bytes, aside, blocked = 0, 0, held_solo

local lanes = {}
for i = 1, #KEYS - 2 do
  local at = 15 + (i - 1) * 3
  local lane = { list = KEYS[i + 2], left = tonumber(ARGV[at + 1]), weight = math.max(tonumber(ARGV[at + 2]), 1),
    base = ARGV[at + 3], ahead = {}, at = 1, offset = 0, popped = 0, returned = true, elements = {} }
  lane.context = 'context:' .. lane.list .. ':'
  lane.paused = call('SISMEMBER', KEYS[2], lane.list) == 1
  if lane.paused then lane.left = 0 end
  lanes[i] = lane
end

local function record(lane, run) return lane.base .. ':run:' .. run end
local function lease(uuid) return '{vcon:' .. uuid .. '}:writer' end

-- Runs whose writer is done go on before everything that came after them; one per vCon.
local function wake(lane)
  local woken = {}
  for _, run in ipairs(call('ZRANGE', lane.base .. ':waiters', 0, CHUNK - 1)) do
    local key = record(lane, run)
    local found = call('HMGET', key, 'u', 't', 'e')
    local uuid, target = found[1], found[2]
    if not uuid then
      call('ZREM', lane.base .. ':waiters', run)
    elseif not woken[uuid] and call('EXISTS', lease(uuid)) == 0
      and not (target and call('EXISTS', lease(target)) == 1) then
      woken[uuid] = true
      call('ZREM', lane.base .. ':waiters', run)
      call('ZREM', lane.base .. ':due', run)
      call('ZADD', lane.base .. ':returned', found[3], run)
    end
  end
end

-- The next run of a list: a uuid that stands on it, or the record of one that came back.
local function peek(lane)
  if lane.left <= 0 then return nil end
  local head = lane.ahead[lane.at]
  while not head do
    lane.ahead, lane.at = {}, 1
    if lane.returned then
      -- What is taken leaves the set at once, so the next ones are always in front.
      local runs = call('ZRANGE', lane.base .. ':returned', 0, CHUNK - 1)
      lane.returned = #runs > 0
      for _, run in ipairs(runs) do
        local found = call('HMGET', record(lane, run), 'u', 'e', 't', 'c')
        if found[1] then
          lane.ahead[#lane.ahead + 1] = { run = run, uuid = found[1], entry = tonumber(found[2]), target = found[3],
            crashes = tonumber(found[4]) or 0 }
        else
          call('ZREM', lane.base .. ':returned', run)
        end
      end
    else
      local chunk = math.max(1, math.min(lane.left, CHUNK, math.ceil((limit - #elements) / #lanes)))
      local ids = call('LRANGE', lane.list, lane.offset, lane.offset + chunk - 1)
      local count = #ids
      if count == 0 then
        lane.left, lane.empty = 0, true
        return nil
      end
      lane.offset = lane.offset + count
      -- Other writers and contexts are rare: one question for all of them.
      local rare = {}
      for i = 1, count do rare[i] = '{vcon:' .. ids[i] .. '}:writer' end
      for i = 1, count do rare[count + i] = lane.context .. ids[i] end
      lane.ahead, lane.leases, lane.rare = ids, rare, call('EXISTS', unpack(rare)) > 0
    end
    head = lane.ahead[1]
  end
  return head
end

local numbered = 0
local function new_run()
  numbered = numbered + 1
  return string.format('%s%04x', prefix, numbered)
end

local function next_entry(lane)
  if not lane.entry then lane.entry = tonumber(call('GET', lane.base .. ':entry')) or 0 end
  lane.entry = lane.entry + 1
  return lane.entry
end

-- A uuid on the list may stand for a run that was dead: revived by us, or moved here by another program.
local function continued(lane, uuid)
  if lane.bound == nil then
    lane.bound = call('EXISTS', lane.base .. ':bound') == 1
    lane.dead = call('EXISTS', lane.base .. ':deadof') == 1
  end
  if lane.bound then
    local runs = call('HGET', lane.base .. ':bound', uuid)
    if runs then
      local first, rest = runs:match('^(%S+)%s*(.*)$')
      if rest == '' then call('HDEL', lane.base .. ':bound', uuid)
      else call('HSET', lane.base .. ':bound', uuid, rest) end
      return first
    end
  end
  if lane.dead then
    local runs = call('HGET', lane.base .. ':deadof', uuid)
    if runs then
      local words = {}
      for word in runs:gmatch('%S+') do words[#words + 1] = word end
      if #call('LPOS', 'DLQ:' .. lane.list, uuid, 'COUNT', 0) < #words then
        local run = table.remove(words)
        if #words == 0 then call('HDEL', lane.base .. ':deadof', uuid)
        else call('HSET', lane.base .. ':deadof', uuid, table.concat(words, ' ')) end
        call('ZREM', lane.base .. ':dead', run)
        call('HDEL', 'vconductor:dead', run)
        call('ZREM', 'vconductor:letters:DLQ:' .. lane.list, run)
        call('HDEL', record(lane, run), 'a', 'c', 'w', 'wf', 'ws', 'f', 'q', 'd')
        call('HSET', record(lane, run), 'n', now)
        return run
      end
    end
  end
end

-- Gives a uuid that leaves the list its run: a new one, or the one that it stands for.
-- Returns the run, its entry, whether it has a record, and the other vCon that it writes.
local function identify(lane, uuid)
  lane.popped = lane.popped + 1
  local entry = next_entry(lane)
  local run = continued(lane, uuid)
  if run then
    call('HSET', record(lane, run), 'e', entry)
    return run, entry, true, call('HGET', record(lane, run), 't')
  end
  run = new_run()
  local context = lane.rare and call('LPOP', lane.context .. uuid)
  if context then call('HSET', record(lane, run), 'u', uuid, 'e', entry, 'x', context) end
  return run, entry, context and true or false
end

-- `free`: nobody else has the lease of the vCon, as far as was asked already.
local function take_leases(key, uuid, run, target, free)
  if leased[uuid] or not free and call('EXISTS', key) == 1 then return false end
  if target and target ~= uuid then
    local other = lease(target)
    if leased[target] or call('EXISTS', other) == 1 then return false end
    leased[target] = true
    leases[#leases + 1] = other
    leases[#leases + 1] = run
  end
  leased[uuid] = true
  local count = #leases
  leases[count + 1], leases[count + 2] = key, run
  return true
end

local function set_aside(lane, run, uuid, entry)
  local key, waits = record(lane, run), 1
  call('HSET', key, 'u', uuid, 'e', entry)
  call('HSETNX', key, 'n', now)
  if call('HGET', key, 'wf') == '"writer"' then
    waits = call('HINCRBY', key, 'w', 1)
  else
    call('HSET', key, 'w', 1, 'wf', '"writer"', 'ws', now)
  end
  local pause = math.min(backoff * 2 ^ math.min(waits - 1, 16), backoff_max)
  call('ZADD', lane.base .. ':due', now + pause, run)
  call('ZADD', lane.base .. ':waiters', entry, run)
end

local function size_of(document)
  local is_json = json and call('TYPE', document).ok == 'ReJSON-RL'
  local size = is_json and redis.pcall('JSON.DEBUG', 'MEMORY', document, '.') or redis.pcall('STRLEN', document)
  return tonumber(size) or 0, is_json
end

-- A document does not expire while a run holds it.
local function persist(document)
  local left = call('PTTL', document)
  if left >= 0 then
    call('SET', '{' .. document .. '}:keep', left, 'NX')
    call('PERSIST', document)
  end
end

local function next_turn()
  if lanes[turn] and credit > 0 and peek(lanes[turn]) then return lanes[turn] end
  for step = 1, #lanes do
    local index = (turn - 1 + step) % #lanes + 1
    if peek(lanes[index]) then
      turn, credit = index, lanes[index].weight
      return lanes[index]
    end
  end
end

-- How often a run's process died; what stands on the list was never claimed.
local function crashes_of(head) return type(head) == 'table' and head.crashes or 0 end

local function stopped_by_solo()
  -- A run that must go alone is never overtaken for ever: from any list's head it stops the others.
  for index, lane in ipairs(lanes) do
    local head = peek(lane)
    if crashes_of(head) >= solo_at then
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
while not blocked and #elements < limit and aside < SET_ASIDE do
  local lane = next_turn()
  if not lane then break end
  local head = lane.ahead[lane.at]
  local back = type(head) == 'table'
  local uuid = back and head.uuid or head
  local document = 'vcon:' .. uuid
  local alone = crashes_of(head) >= solo_at
  local first = not held_any and #elements == 0
  local size, is_json = size_of(document)
  if (alone and not first) or (not first and bytes + size > budget) then
    -- The turn stays here, so that smaller documents of other lists cannot keep it out for ever.
    blocked, credit = true, math.max(credit, 1)
    break
  end
  local run, entry, known, target, key
  if back then
    call('ZREM', lane.base .. ':returned', head.run)
    run, entry, known, target, key = head.run, head.entry, true, head.target, lease(uuid)
  else
    key = lane.leases[lane.at]
    run, entry, known, target = identify(lane, uuid)
  end
  lane.at = lane.at + 1
  if take_leases(key, uuid, run, target, not back and not lane.rare) then
    persist(document)
    if target then persist('vcon:' .. target) end
    bytes = bytes + size
    lane.left, credit = lane.left - 1, credit - 1
    local element = string.format('%d %s %s', entry, run, uuid)
    lane.elements[#lane.elements + 1] = element
    elements[#elements + 1] = element
    places[#elements] = 8 * turn + (known and 1 or 0) + (is_json and 2 or 0) + (size >= large and 4 or 0)
    blocked = alone
  else
    set_aside(lane, run, uuid, entry)
    aside = aside + 1
  end
end

-- A command takes only so many arguments out of a table.
local function in_parts(values, write)
  for from = 1, #values, 1000 do write(unpack(values, from, math.min(from + 999, #values))) end
end

in_parts(leases, function(...) call('MSET', ...) end)
local states = {}
for index, lane in ipairs(lanes) do
  if lane.popped > 0 then
    call('LTRIM', lane.list, lane.popped, -1)
    call('SET', lane.base .. ':entry', lane.entry)
  end
  if #lane.elements > 0 then
    local wip = process .. ':' .. batch
    in_parts(lane.elements, function(...) call('RPUSH', lane.base .. ':wip:' .. wip, ...) end)
    call('SADD', lane.base .. ':wips', wip)
  end
  if lane.paused or blocked or lane.left <= 0 and not lane.empty then states[index] = 2
  elseif lane.ahead[lane.at] or lane.returned and call('EXISTS', lane.base .. ':returned') == 1
    or call('LLEN', lane.list) > 0 then states[index] = 1
  elseif call('EXISTS', lane.base .. ':waiters') == 0 then states[index] = 0
  else states[index] = 2 end
end
return { 1, turn, credit, states, elements, places }
