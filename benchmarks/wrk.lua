-- Closed-loop load from a file of ready requests: wrk -s wrk.lua URL -- FILE
-- Each thread goes through the whole file, starting at its own place; the result is one line of JSON.

local threads = 0

function setup(thread)
   thread:set("place", threads)
   threads = threads + 1
end

function init(arguments)
   requests = {}
   local file = assert(io.open(arguments[1], "rb"))
   for request in file:read("*a"):gmatch("(.-\r\n\r\n)") do
      requests[#requests + 1] = request
   end
   file:close()
   count = #requests
   -- How many threads there are is not known yet; this far apart, they meet late.
   at = place * 100003 % count
end

function request()
   at = at % count + 1
   return requests[at]
end

function done(summary, latency, rates)
   local errors = summary.errors
   io.write(string.format(
      '{"requests": %d, "seconds": %.6f, "bytes": %d, "p50_ms": %.3f, "p99_ms": %.3f, "max_ms": %.3f, ' ..
      '"bad_status": %d, "broken": %d, "timeouts": %d}\n',
      summary.requests, summary.duration / 1e6, summary.bytes,
      latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3,
      errors.status, errors.connect + errors.read + errors.write, errors.timeout))
end
