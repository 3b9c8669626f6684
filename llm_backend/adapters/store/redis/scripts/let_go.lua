-- Ends what a holder holds. ARGV: scope, holder, what is noted of each if they count as handed over (else ''), this period
-- of time, seconds that it is remembered, digests.

local scope, holder, given = ARGV[1], ARGV[2], ARGV[3]
local this, noted = at('given', scope, ARGV[4]), {}
for _, digest in ipairs({ unpack(ARGV, 6) }) do
  local name = at('held', scope, digest)
  if redis.call('GET', name) == holder then
    redis.call('DEL', name)
  end
  noted[#noted + 1], noted[#noted + 2] = digest, given
end
if given ~= '' and #noted > 0 then
  redis.call('HSET', this, unpack(noted))
  redis.call('EXPIRE', this, ARGV[5])
end
