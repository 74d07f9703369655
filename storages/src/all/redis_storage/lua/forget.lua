-- Takes an index entry out if its document is gone.
-- KEYS: document, revision, by created_at, by expiry; ARGV: index entry
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('ZREM', KEYS[3], ARGV[1])
  redis.call('ZREM', KEYS[4], ARGV[1])
end
return 0
