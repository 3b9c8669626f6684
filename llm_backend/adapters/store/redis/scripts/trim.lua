-- Removes some kept answers past their age or beyond their number. ARGV: cutoff, allowed, most. Returns how many went.

return trim(ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]))
