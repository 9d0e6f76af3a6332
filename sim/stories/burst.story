# The burst picture, as Lambda scaled until November 2023 in its largest regions: a first burst of 3,000 environments for the
# whole account, then 500 more in each minute, up to the account's concurrency. What is unused of the burst stays.
account 10000 burst 3000
function web 128 MB starts 100ms runs 30m

at 09:00 web 2000       # within the burst
at 09:02 web 2500       # 1,000 are left of the burst and 1,000 came back in two minutes: 4,000 are in flight
at 09:03 web 500        # one minute's worth
at 09:03:01 web 100     # and after a second there are 8 more
at 09:15 web 4000       # the burst is full again, and no fuller than it was
at 09:27 web 3000       # 7,508 are in flight, and the account may have 10,000

expect 09:00..09:02 web cold 2000
expect 09:00..09:02 web throttled 0
expect 09:02..09:03 web cold 2000
expect 09:02..09:03 web scaling rate 500
expect 09:03..09:03:01 web cold 500
expect 09:03:01..09:04 web cold 8
expect 09:03:01..09:04 web scaling rate 92
expect 09:15..09:16 web cold 3000
expect 09:15..09:16 web scaling rate 1000
expect 09:27..09:28 web cold 2492
expect 09:27..09:28 web account concurrency 508
