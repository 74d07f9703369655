-- A new run with a ledger; runs inside the transaction that takes its vCon in.
-- ARGV: base, list, uuid, run, ledger, context ('' for none), clock shift
new_run(ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7])
return 1
