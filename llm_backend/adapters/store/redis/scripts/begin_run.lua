-- Stores a run without tasks, hidden, for as long as a lease lasts. ARGV: run, lease in seconds, fields and values.

redis.call('HSET', at('run', ARGV[1]), 'state', 'hidden', unpack(ARGV, 3))
redis.call('ZADD', at('hidden'), seconds() + tonumber(ARGV[2]), ARGV[1])
