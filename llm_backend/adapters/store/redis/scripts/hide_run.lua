-- Takes a run from all lists, to be removed. ARGV: run, and 1 if only a finished one may go. Returns whether it went.

local run, head = ARGV[1], at('run', ARGV[1])
local state, member = unpack(redis.call('HMGET', head, 'state', 'member'))
if not visible(state) then -- what is hidden already may go when its lease has ended
  local lease = redis.call('ZSCORE', at('hidden'), run)
  return lease and tonumber(lease) < seconds() and 1 or 0
end
if ARGV[2] == '1' and UNFINISHED[state] then
  return 0
end
for _, list in ipairs({ 'runs', 'unfinished', 'finished' }) do
  redis.call('ZREM', at(list), member)
end
redis.call('HSET', head, 'state', 'hidden')
redis.call('ZADD', at('hidden'), 0, run)
return 1
