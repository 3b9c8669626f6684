-- Moves a run to a state. ARGV: run, now, state, reason, and the states in which it may be (all, if none is named).
-- Returns the state it was in, and whether it moved; false if the run is unknown.

local run, now, state, reason = unpack(ARGV, 1, 4)
local held = redis.call('HGET', at('run', run), 'state')
if not visible(held) then
  return false
end
local moves = #ARGV < 5
for i = 5, #ARGV do
  moves = moves or ARGV[i] == held
end
if moves then
  move(run, state, reason, now)
end
return { held, moves and 1 or 0 }
