# What a function reserves is its own and no more; the others share the rest.
account 1000 unlimited
function paid  256 MB starts 200ms runs 1m reserves 300
function other 256 MB starts 200ms runs 1m

at 12:00 other 1000     # 700 are for all without a reservation
at 12:00:10 paid 400
at 12:02 other 500      # all have ended, and their environments are warm

expect 12:00..12:00:01 other cold 700
expect 12:00..12:00:01 other account concurrency 300
expect 12:00:10..12:01 paid cold 300
expect 12:00:10..12:01 paid reserved concurrency 100
expect 12:02..12:03 other warm 500
