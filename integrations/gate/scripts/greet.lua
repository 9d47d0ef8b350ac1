-- First on every new connection. KEYS: epoch. ARGV: how long to keep it.
-- A process that is not the one of the epoch may have lost anything (its file, its last second): a new epoch begins.

local run_id = run_id()
if ask('HGET', KEYS[1], 'run_id') ~= run_id then begin_epoch(run_id, clock(), tonumber(ARGV[1])) end
return 'welcome'
