-- Deletes a document with all that is known of it; answers whether there was one.
-- KEYS: document, revision, by created_at, by expiry
local held = redis.call('GET', KEYS[2])
if held then
  local entry = held:match('^%d+ (.*)$')
  redis.call('ZREM', KEYS[3], entry)
  redis.call('ZREM', KEYS[4], entry)
end
redis.call('DEL', KEYS[2])
return redis.call('DEL', KEYS[1])
