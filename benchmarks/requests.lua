-- SPDX-FileCopyrightText: campus.flask_sso contributors
-- SPDX-License-Identifier: GPL-3.0-or-later
--
-- For wrk: each argument is the Cookie header of one session, and requests take them in turn. The result is a line of JSON.

local prepared, turn = {}, 0

function init(cookies)
    for _, cookie in ipairs(cookies) do
        prepared[#prepared + 1] = wrk.format(nil, nil, {Cookie = cookie})
    end
    prepared[1] = prepared[1] or wrk.format()
end

function request()
    turn = turn % #prepared + 1
    return prepared[turn]
end

function done(summary, latency)
    local errors = 0
    for _, count in pairs(summary.errors) do
        errors = errors + count
    end
    io.write(string.format('\n{"rate": %.1f, "p50": %.2f, "p99": %.2f, "errors": %d}\n',
        summary.requests / summary.duration * 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, errors))
end
