-- Keeps one answer. ARGV: project, scope, cutoff, allowed, life, digest, value, when it was made.

local digest, scope = ARGV[6], ARGV[2]
keep(ARGV[1], scope, { digest, ARGV[7] }, { ARGV[8], scope .. ':' .. digest }, ARGV[3], tonumber(ARGV[4]), ARGV[5])
