-- Takes a run from all lists, to be removed. ARGV: run, and which may go: any, a finished one, or an abandoned one (it
-- is hidden, and its lease has ended). Returns whether it went.

local run, which, head = ARGV[1], ARGV[2], at('run', ARGV[1])
local state, member = unpack(redis.call('HMGET', head, 'state', 'member'))
if not visible(state) then
  local lease = redis.call('ZSCORE', at('hidden'), run)
  return lease and tonumber(lease) < seconds() and 1 or 0
end
if which == 'abandoned' or (which == 'finished' and UNFINISHED[state]) then
  return 0
end
for _, list in ipairs({ 'runs', 'unfinished', 'finished' }) do
  redis.call('ZREM', at(list), member)
end
redis.call('HSET', head, 'state', 'hidden')
redis.call('ZADD', at('hidden'), 0, run)
return 1
