-- Lets all see a run whose last task has come. ARGV: run, state. Returns whether it could; not if its lease has ended.

local run, state = ARGV[1], ARGV[2]
local head = at('run', run)
local held = redis.call('HGET', head, 'state')
if visible(held) then
  return 1
end
if not held or tonumber(redis.call('ZSCORE', at('hidden'), run) or 0) < seconds() then
  return 0
end
local number = redis.call('INCR', at('run_number'))
local member = ('%015d:%s'):format(number, run)
redis.call('HSET', head, 'state', state, 'member', member, 'waiting', redis.call('STRLEN', at('letters', run)))
redis.call('ZADD', at('runs'), redis.call('HGET', head, 'created'), member)
redis.call('ZADD', at('unfinished'), redis.call('HGET', head, 'created'), member)
redis.call('ZREM', at('hidden'), run)
return 1
