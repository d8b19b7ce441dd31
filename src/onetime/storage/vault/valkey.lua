-- The vault in Valkey: one function for each verb. What the numbers mean is said in steps.py and envelope.py, which are the same
-- for a file; tests/storage holds all stores to one contract.
--
-- A function runs alone on its server, from beginning to end. That is what makes a verb one step; but nothing is undone when it
-- fails half-way, so whatever may be refused is refused before the first write.
--
-- Times are seconds of the server's clock. Every key has an end: its own and ten minutes, so that the sweep comes first.

local GRACE = 300       -- as steps.GRACE_SECONDS
local ROWS = 500        -- as steps.SWEEP_ROWS
local SLEPT = 120       -- as envelope.SLEPT_SECONDS
local SPARE = 600
local CLAIMED_SPARE = 7 * 86400 -- a window may be slept through that long and is given once more
local LASTING = 400 * 86400     -- of what belongs to no secret; begins again while the service runs
local TOKEN_MS = '10000'

local VAULT = 'onetime:vault'
local ROOT_KEY = 'onetime:root_key'
local WINDOWS = 'onetime:windows'
local DUE_SECRET, DUE_RECEIPT, DUE_OTHER = 'onetime:due:secret', 'onetime:due:receipt', 'onetime:due:other'

local function call(...) return server.call(...) end

-- Microseconds.
local function instant(args)
    local time = call('TIME')
    return time[1] * 1000000 + time[2]
end

-- A secret and its receipt share a slot: what is in braces counts.
local function tagged(word, id)
    local a, b, c, d = string.byte(id, 1, 4)
    return string.format('onetime:{%02x%02x%02x%02x}:', a or 0, b or 0, c or 0, d or 0) .. word .. ':' .. id
end
local function secret_key(id) return tagged('secret', id) end
local function receipt_key(id) return tagged('receipt', id) end
local function name_key(id) return tagged('name', id) end

local function seconds_left(till, now) return math.max(till - now, 0) + SPARE end

local function live(key, till, now, spare)
    call('EXPIRE', key, seconds_left(till, now) + (spare or 0))
end

local function live_at_least(key, till, now)
    local seconds = seconds_left(till, now)
    call('EXPIRE', key, seconds, 'NX')
    call('EXPIRE', key, seconds, 'GT')
end

local function fields(key, ...)
    local names = {...}
    local values = call('HMGET', key, ...)
    local found = {}
    for i = 1, #names do found[names[i]] = values[i] end
    return found
end

-- What lists others ends when the service has not run for long; a list that is new must not wait for that.
local function enter(list, score, member)
    if call('ZADD', list, score, member) == 1 and call('ZCARD', list) == 1 then call('EXPIRE', list, LASTING) end
end

local function other(key, till, now)
    live(key, till, now)
    enter(DUE_OTHER, till, key)
end

local function drop_other(key)
    call('ZREM', DUE_OTHER, key)
    return call('DEL', key)
end

-- In a time that says nothing about where they differ.
local function same(salt, one, another)
    return server.sha1hex(salt .. one) == server.sha1hex(salt .. another)
end

local function room_of(size) return size + 1024 end
local function due_name(id, size) return string.format('%d:', size) .. id end

local function forget_content(id, size)
    if call('ZREM', DUE_SECRET, due_name(id, size)) == 1 then
        call('HINCRBY', VAULT, 'size_bytes', -room_of(size))
    end
    call('DEL', secret_key(id))
end

-- The receipt of a secret: its key, and the fields that are asked for.
local function receipt_of(id, ...)
    local receipt_id = call('GET', name_key(id))
    if not receipt_id then return end
    local key = receipt_key(receipt_id)
    local found = fields(key, 'state', 'kind', 'secret_expires_at', 'size_bytes', 'wrong_tries', ...)
    if not found.state then return end
    found.ends = tonumber(found.secret_expires_at)
    found.size = tonumber(found.size_bytes)
    found.tries = tonumber(found.wrong_tries)
    return key, found, receipt_id
end

local function end_window(key, id, size)
    call('HSET', key, 'state', 'revealed')
    call('HDEL', key, 'window_ends_at')
    call('ZREM', WINDOWS, id)
    forget_content(id, size)
end

-- The windows once more that the service has slept through. Whoever writes is awake.
local function wake(now)
    local awake_at = tonumber(call('HGET', VAULT, 'awake_at') or 0)
    if awake_at == now then return end
    -- An instant that a clock left behind which was set back says nothing.
    if awake_at > now + SLEPT then awake_at = 0 end
    if now - awake_at > SLEPT then
        for _, id in ipairs(call('ZRANGE', WINDOWS, '(' .. awake_at, '+inf', 'BYSCORE')) do
            local key, found, receipt_id = receipt_of(id, 'woken', 'window_ends_at', 'ended_at', 'expires_at')
            if key and found.state == 'claimed' and not found.woken and found.window_ends_at then
                local window = found.window_ends_at - found.ended_at
                local over = math.max(tonumber(found.expires_at), now + 2 * window)
                call('HSET', key, 'woken', 1, 'window_ends_at', now + window, 'expires_at', over)
                call('ZADD', DUE_SECRET, 'XX', now + window, due_name(id, found.size))
                call('ZADD', DUE_RECEIPT, over, receipt_id)
                call('ZADD', WINDOWS, now + window, id)
                live(key, over, now, CLAIMED_SPARE)
                live(name_key(id), over, now, CLAIMED_SPARE)
                live(secret_key(id), over, now, CLAIMED_SPARE)
            end
        end
    end
    call('HSET', VAULT, 'awake_at', now)
    for _, key in ipairs({VAULT, ROOT_KEY, WINDOWS, DUE_SECRET, DUE_RECEIPT, DUE_OTHER}) do
        call('EXPIRE', key, LASTING)
    end
end

-- A write has a token: whoever repeats it in time gets the first answer. And an end: after that its caller is told that nobody
-- knows, so what comes later does nothing.
local function write(name, flags, act)
    server.register_function{function_name = 'ONETIME_' .. name, flags = flags, callback = function(_, args)
        local at = instant(args)
        local key = 'onetime:op:' .. args[1]
        local earlier = call('GET', key)
        if earlier then
            -- A write: what waits for replicas after it waits for the first copy as well.
            call('PEXPIRE', key, TOKEN_MS)
            return cmsgpack.unpack(earlier)
        end
        if at > tonumber(args[2]) then return {at, 'late'} end
        local now = math.floor(at / 1000000)
        wake(now)
        local answer = act(now, {unpack(args, 3)}, args[1]) or {}
        table.insert(answer, 1, at)
        call('SET', key, cmsgpack.pack(answer), 'PX', TOKEN_MS)
        return answer
    end}
end

local function look(name, act)
    server.register_function{function_name = 'ONETIME_' .. name, flags = {'no-writes'}, callback = function(_, args)
        local at = instant(args)
        local answer = act(math.floor(at / 1000000), {unpack(args, 3)}) or {}
        table.insert(answer, 1, at)
        return answer
    end}
end

local GROWS = {}
local REMOVES = {'allow-oom'}

local function known(secret_id, receipt_id, listing_id)
    local found = call('GET', name_key(secret_id))
    if found then return found end
    if call('EXISTS', receipt_key(receipt_id)) == 1 then return receipt_id end
    return listing_id ~= '' and call('GET', 'onetime:listing:' .. listing_id)
end

-- Whether what lives under the receipt is, to the letter, what is put again; then, when it came.
local function same_again(now, receipt_id, a)
    local key = receipt_key(receipt_id)
    local r = fields(key, 'state', 'secret_id', 'kind', 'has_passphrase', 'created_at', 'secret_expires_at', 'expires_at',
        'wrapped', 'owner', 'listing_id', 'listing', 'open_hash')
    local ends = tonumber(r.secret_expires_at or 0)
    if r.state ~= 'new' or ends <= now or receipt_id ~= a[8] or r.secret_id ~= a[7] or r.kind ~= a[6]
        or r.has_passphrase ~= a[1] or (r.open_hash or '') ~= a[12] then
        return
    end
    local s = fields(secret_key(a[7]), 'head', 'body', 'key_number')
    if s.body ~= a[10] then return end
    if a[12] ~= '' then
        if ends - r.created_at ~= a[3] - a[2] or r.expires_at - r.created_at ~= a[4] - a[2] then return end
        return r.created_at
    end
    if r.created_at ~= a[2] or r.secret_expires_at ~= a[3] or r.expires_at ~= a[4] or s.key_number ~= a[5] or s.head ~= a[9]
        or r.wrapped ~= a[11] or (r.owner or '') ~= a[13] or (r.listing_id or '') ~= a[14] or (r.listing or '') ~= a[15] then
        return
    end
    return r.created_at
end

-- 1 has_passphrase, 2 created_at, 3 expires_at, 4 receipt_expires_at, 5 key_number, 6 kind, 7 secret_id, 8 receipt_id, 9 head,
-- 10 body, 11 wrapped, 12 open_hash, 13 owner, 14 listing_id, 15 listing, 16 answer_id, 17 sealed, 18 its expires_at, 19 most bytes;
-- what is absent is empty
write('put', GROWS, function(now, a)
    local answer_key = 'onetime:answer:' .. a[16]
    if a[16] ~= '' then
        local earlier = fields(answer_key, 'sealed', 'expires_at')
        if earlier.sealed and tonumber(earlier.expires_at) > now then return {'earlier', earlier.sealed} end
    end
    local receipt_id = known(a[7], a[8], a[14])
    if receipt_id then
        local created_at = same_again(now, receipt_id, a)
        return created_at and {'known', created_at} or {'conflict'}
    end
    local size = #a[10]
    if tonumber(call('HGET', VAULT, 'size_bytes') or 0) + room_of(size) > tonumber(a[19]) then return {'full'} end

    local ends, over = tonumber(a[3]), tonumber(a[4])
    local key, secret = receipt_key(a[8]), secret_key(a[7])
    call('HSET', key, 'has_passphrase', a[1], 'created_at', a[2], 'secret_expires_at', a[3], 'expires_at', a[4], 'kind', a[6],
        'secret_id', a[7], 'wrapped', a[11], 'state', 'new', 'wrong_tries', 0, 'size_bytes', size)
    if a[12] ~= '' then call('HSET', key, 'open_hash', a[12], 'locked_until', 0) end
    call('HSET', secret, 'head', a[9], 'body', a[10], 'key_number', a[5])
    call('SET', name_key(a[7]), a[8], 'EX', seconds_left(over, now))
    live(key, over, now)
    live(secret, ends, now)
    enter(DUE_SECRET, ends, due_name(a[7], size))
    enter(DUE_RECEIPT, over, a[8])
    call('HINCRBY', VAULT, 'size_bytes', room_of(size))
    if a[14] ~= '' then
        call('HSET', key, 'listing_id', a[14], 'listing', a[15])
        call('SET', 'onetime:listing:' .. a[14], a[8], 'EX', seconds_left(over, now))
    end
    if a[13] ~= '' then
        -- Of two that came in one second the later is the newer.
        local entry = string.format('%016d', call('HINCRBY', VAULT, 'number', 1)) .. a[8]
        call('HSET', key, 'owner', a[13], 'entry', entry)
        call('ZADD', 'onetime:owner:' .. a[13], a[2], entry)
        live_at_least('onetime:owner:' .. a[13], over, now)
    end
    if a[12] == '' and tonumber(call('HGET', ROOT_KEY, a[5]) or 0) < ends then
        call('HSET', ROOT_KEY, a[5], a[3])
        call('EXPIRE', ROOT_KEY, LASTING)
    end
    if a[16] ~= '' then
        call('HSET', answer_key, 'sealed', a[17], 'expires_at', a[18])
        other(answer_key, tonumber(a[18]), now)
    end
    return {'stored'}
end)

local function is_living(found, now) return found.state == 'new' and found.ends > now end

local function give_back(keys)
    for _, each in ipairs(keys) do
        local key = 'onetime:counter:' .. each
        local used = tonumber(call('HGET', key, 'used') or 0)
        if used > 0 then call('HSET', key, 'used', used - 1, 'locked_until', 0) end
    end
end

local function end_new(key, found, state, now, is_refund)
    call('HSET', key, 'state', state, 'ended_at', now, 'wrapped', '', 'wrong_tries',
        math.max(found.tries - (is_refund and 1 or 0), 0))
end

-- 1 secret_id, 2 proof, then the counters that get an attempt back
write('take', REMOVES, function(now, a)
    local key, found = receipt_of(a[1], 'has_passphrase', 'created_at')
    if not key or not is_living(found, now) or found.kind == 'envelope' then return end
    local content = fields(secret_key(a[1]), 'head', 'body')
    -- Without a proof it is empty, which is found everywhere.
    if not content.body or not string.find(content.head, a[2], 1, true) then return end
    local counters = {unpack(a, 3)}
    end_new(key, found, 'revealed', now, #counters > 0)
    forget_content(a[1], found.size)
    give_back(counters)
    return {found.kind, found.has_passphrase, found.created_at, found.secret_expires_at, content.head, content.body}
end)

-- 1 secret_id, then the counters that get an attempt back
write('burn', REMOVES, function(now, a)
    local key, found = receipt_of(a[1])
    if not key then return end
    if found.state == 'claimed' then
        end_window(key, a[1], found.size)
        return
    end
    if not is_living(found, now) then return end
    local counters = {unpack(a, 2)}
    end_new(key, found, 'burned', now, #counters > 0)
    call('HDEL', key, 'open_hash', 'locked_until')
    forget_content(a[1], found.size)
    give_back(counters)
    return {'burned'}
end)

-- 1 receipt_id, 2 within
write('show_once', REMOVES, function(now, a)
    local key = receipt_key(a[1])
    local found = fields(key, 'state', 'kind', 'shown', 'secret_id', 'has_passphrase', 'created_at', 'secret_expires_at')
    if found.state ~= 'new' or found.shown or found.kind ~= 'generate' or tonumber(found.secret_expires_at) <= now
        or tonumber(found.created_at) <= now - a[2] then
        return
    end
    local content = fields(secret_key(found.secret_id), 'head', 'body')
    if not content.body then return end
    call('HSET', key, 'shown', 1)
    return {found.kind, found.has_passphrase, found.created_at, found.secret_expires_at, content.head, content.body,
        found.secret_id}
end)

local function lock_after(tries, free, lock, longest)
    if tries < free then return 0 end
    return math.min(lock * 2 ^ math.min(tries - free, 30), longest)
end

-- Why the proof does not open a living secret; nothing if it does. A wrong one is debited. t: free, lock, longest_lock, total
local function try(now, key, found, open_hash, t, salt)
    if found.tries >= t[4] then return {'closed'} end
    local locked_until = tonumber(found.locked_until or 0)
    if locked_until > now then
        -- A clock that was set back must not stretch a lock.
        local latest = now + lock_after(found.tries, t[1], t[2], t[3])
        if locked_until > latest then call('HSET', key, 'locked_until', latest) end
        return {'locked', math.min(locked_until, latest) - now}
    end
    if same(salt, found.open_hash or '', open_hash) then return end
    local lock = lock_after(found.tries + 1, t[1], t[2], t[3])
    call('HSET', key, 'wrong_tries', found.tries + 1)
    if lock > 0 then call('HSET', key, 'locked_until', now + lock) end
    return {'wrong', found.tries + 1, lock}
end

local function tries(a, from)
    return {tonumber(a[from]), tonumber(a[from + 1]), tonumber(a[from + 2]), tonumber(a[from + 3])}
end

-- 1 secret_id, 2 open_hash, 3 claim_hash, 4 window, 5 to 8 tries
write('claim', REMOVES, function(now, a, salt)
    local key, found, receipt_id = receipt_of(a[1], 'open_hash', 'claim_hash', 'locked_until', 'window_ends_at', 'expires_at')
    if not key or found.kind ~= 'envelope' then return end
    local window = tonumber(a[4])
    local till = now + window
    local body = call('HGET', secret_key(a[1]), 'body')
    if found.state == 'claimed' then
        till = tonumber(found.window_ends_at)
        if till <= now or not body then return end
        if not same(salt, found.claim_hash, a[3]) then return {'claimed'} end
        return {'handed', till, body}
    end
    if not is_living(found, now) or not body then return end
    local refused = try(now, key, found, a[2], tries(a, 5), salt)
    if refused then return refused end
    -- It outlives the content.
    local over = math.max(tonumber(found.expires_at), till + window)
    call('HDEL', key, 'open_hash', 'locked_until')
    call('HSET', key, 'claim_hash', a[3], 'ended_at', now, 'expires_at', over, 'state', window > 0 and 'claimed' or 'revealed')
    call('ZADD', DUE_RECEIPT, over, receipt_id)
    live(key, over, now, CLAIMED_SPARE)
    live(name_key(a[1]), over, now, CLAIMED_SPARE)
    if window > 0 then
        call('HSET', key, 'window_ends_at', till)
        enter(DUE_SECRET, till, due_name(a[1], found.size))
        enter(WINDOWS, till, a[1])
        live(secret_key(a[1]), over, now, CLAIMED_SPARE)
    else
        forget_content(a[1], found.size)
    end
    return {'handed', till, body}
end)

-- 1 secret_id, 2 claim_hash
write('settle', REMOVES, function(now, a, salt)
    local key, found = receipt_of(a[1], 'claim_hash', 'acknowledged_at', 'expires_at')
    if not key or tonumber(found.expires_at) <= now or not found.claim_hash or not same(salt, found.claim_hash, a[2]) then
        return
    end
    if found.acknowledged_at then return {tonumber(found.acknowledged_at)} end
    call('HSET', key, 'acknowledged_at', now)
    end_window(key, a[1], found.size)
    return {now}
end)

-- 1 secret_id, 2 open_hash, 3 claim_hash, 4 to 7 tries
write('burn_proved', REMOVES, function(now, a, salt)
    local key, found = receipt_of(a[1], 'open_hash', 'claim_hash', 'locked_until', 'window_ends_at')
    if not key or found.kind ~= 'envelope' then return end
    if found.state == 'claimed' then
        if tonumber(found.window_ends_at) <= now then return end
        if same(salt, found.claim_hash, a[3]) then end_window(key, a[1], found.size) end
        return {'claimed'}
    end
    if a[2] == '' or not is_living(found, now) then return end
    local refused = try(now, key, found, a[2], tries(a, 4), salt)
    if refused then return refused end
    call('HSET', key, 'state', 'burned', 'ended_at', now)
    call('HDEL', key, 'open_hash', 'locked_until')
    forget_content(a[1], found.size)
    return {'burned'}
end)

-- All or none: left, refused, retry_after. Four of each: key, limit, window, lock
local function debit(now, a, from)
    local left, rows = 2 ^ 30, {}
    for i = from, #a, 4 do
        local key, limit, window, lock = 'onetime:counter:' .. a[i], tonumber(a[i + 1]), tonumber(a[i + 2]), tonumber(a[i + 3])
        local found = fields(key, 'used', 'window_ends_at', 'locked_until')
        local used = tonumber(found.used or 0)
        local window_ends_at, locked_until = tonumber(found.window_ends_at or 0), tonumber(found.locked_until or 0)
        -- A clock that was set back must stretch neither window nor lock.
        if window_ends_at > now + window or locked_until > now + lock then
            window_ends_at, locked_until = math.min(window_ends_at, now + window), math.min(locked_until, now + lock)
            call('HSET', key, 'window_ends_at', window_ends_at, 'locked_until', locked_until)
        end
        local index = (i - from) / 4
        if locked_until > now then return {0, index, locked_until - now} end
        if window_ends_at <= now or locked_until ~= 0 then
            -- The window is over, or a lock was served: from the start again.
            used, window_ends_at, locked_until = 0, now + window, 0
        end
        if used >= limit then return {0, index, window_ends_at - now} end
        used = used + 1
        if used == limit and lock ~= 0 then locked_until = now + lock end
        left = math.min(left, limit - used)
        rows[#rows + 1] = {key, used, window_ends_at, locked_until}
    end
    for _, row in ipairs(rows) do
        call('HSET', row[1], 'used', row[2], 'window_ends_at', row[3], 'locked_until', row[4])
        other(row[1], math.max(row[3], row[4]), now)
    end
    return {left, false, false}
end

write('count', REMOVES, function(now, a) return debit(now, a, 1) end)

-- 1 secret_id, 2 total, then four of each debit
write('spend', REMOVES, function(now, a)
    local key, found = receipt_of(a[1])
    if not key or not is_living(found, now) or found.kind == 'envelope' then return end
    local total = tonumber(a[2])
    if found.tries >= total then return {0, -1, false} end
    local said = debit(now, a, 3)
    if not said[2] then
        call('HSET', key, 'wrong_tries', found.tries + 1)
        said[1] = math.min(said[1], total - found.tries - 1)
    end
    return said
end)

-- 1 secret_id, then counters
write('refund', REMOVES, function(_, a)
    local key, found = receipt_of(a[1])
    if key and found.tries > 0 and found.kind ~= 'envelope' then call('HSET', key, 'wrong_tries', found.tries - 1) end
    give_back({unpack(a, 2)})
end)

-- 1 day, 2 candidate, 3 expires_at
write('daily_key', REMOVES, function(now, a)
    local key = 'onetime:daily_key:' .. a[1]
    if call('HSETNX', key, 'key', a[2]) == 1 then other(key, tonumber(a[3]), now) end
    return {call('HGET', key, 'key')}
end)

-- 1 token_id, 2 purpose, 3 body, 4 expires_at
write('put_token', GROWS, function(now, a)
    local key = 'onetime:token:' .. a[1]
    if call('EXISTS', key) == 1 then return {0} end
    call('HSET', key, 'purpose', a[2], 'body', a[3], 'expires_at', a[4])
    other(key, tonumber(a[4]), now)
    return {1}
end)

-- 1 token_id, 2 purpose
write('take_token', REMOVES, function(now, a)
    local key = 'onetime:token:' .. a[1]
    local found = fields(key, 'purpose', 'body', 'expires_at')
    if found.purpose ~= a[2] or tonumber(found.expires_at) <= now then return end
    drop_other(key)
    return {found.body}
end)

-- 1 session_id, 2 account, 3 data, 4 created_at, 5 expires_at
write('put_session', GROWS, function(now, a)
    local key = 'onetime:session:' .. a[1]
    if call('EXISTS', key) == 1 then return {0} end
    call('HSET', key, 'account', a[2], 'data', a[3], 'created_at', a[4], 'expires_at', a[5])
    other(key, tonumber(a[5]), now)
    call('ZADD', 'onetime:account:' .. a[2], a[4], a[1])
    live_at_least('onetime:account:' .. a[2], tonumber(a[5]), now)
    return {1}
end)

-- 1 session_id, 2 expires_at
write('extend_session', REMOVES, function(now, a)
    local key = 'onetime:session:' .. a[1]
    local found = fields(key, 'account', 'expires_at')
    if not found.account or tonumber(found.expires_at) <= now then return {0} end
    call('HSET', key, 'expires_at', a[2])
    other(key, tonumber(a[2]), now)
    live_at_least('onetime:account:' .. found.account, tonumber(a[2]), now)
    return {1}
end)

local function end_session(id)
    local key = 'onetime:session:' .. id
    local account = call('HGET', key, 'account')
    if account then call('ZREM', 'onetime:account:' .. account, id) end
    return drop_other(key)
end

write('end_session', REMOVES, function(_, a) return {end_session(a[1])} end)

-- 1 account, 2 the session that stays, or nothing
write('end_sessions_of', REMOVES, function(_, a)
    local ended = 0
    for _, id in ipairs(call('ZRANGE', 'onetime:account:' .. a[1], 0, -1)) do
        if id ~= a[2] then
            ended = ended + end_session(id)
            call('ZREM', 'onetime:account:' .. a[1], id)
        end
    end
    return {ended}
end)

-- 1 the version of what is kept here, then pairs: number, verifier; the current one first
write('adopt', REMOVES, function(now, a)
    local version = call('HGET', VAULT, 'schema_version') or a[1]
    if tonumber(version) > tonumber(a[1]) then return {'newer', version} end
    local verifier = call('HGET', VAULT, 'verifier')
    local numbers, is_known = {}, not verifier
    for i = 2, #a, 2 do
        numbers[a[i]] = true
        is_known = is_known or a[i + 1] == verifier
    end
    if not is_known then return {'other'} end
    local uses = call('HGETALL', ROOT_KEY)
    for i = 1, #uses, 2 do
        if not numbers[uses[i]] and tonumber(uses[i + 1]) > now then return {'lacking'} end
    end
    call('HSET', VAULT, 'verifier', a[3], 'schema_version', a[1])
    return {'adopted'}
end)

local function due(key, before)
    return call('ZRANGE', key, '-inf', before, 'BYSCORE', 'LIMIT', 0, ROWS)
end

write('sweep', REMOVES, function(now)
    local before = now - GRACE
    local secrets, receipts = due(DUE_SECRET, before), 0
    for _, entry in ipairs(secrets) do
        local colon = string.find(entry, ':', 1, true)
        local id, size = string.sub(entry, colon + 1), tonumber(string.sub(entry, 1, colon - 1))
        local key, found = receipt_of(id)
        -- The receipt learns it with the removal: a clock set back must not call new what is no more.
        if key then
            if found.state == 'new' then
                call('HSET', key, 'state', 'expired', 'ended_at', found.secret_expires_at, 'wrapped', '')
            elseif found.state == 'claimed' then
                call('HSET', key, 'state', 'revealed')
            end
            call('HDEL', key, 'window_ends_at', 'open_hash', 'locked_until')
        end
        call('ZREM', WINDOWS, id)
        forget_content(id, size)
    end
    local more = #secrets == ROWS
    if not more then
        local ids = due(DUE_RECEIPT, before)
        for _, receipt_id in ipairs(ids) do
            local key = receipt_key(receipt_id)
            local found = fields(key, 'secret_id', 'listing_id', 'owner', 'entry')
            -- A receipt outlives its secret, whatever the order of expiries.
            if not found.secret_id or call('EXISTS', secret_key(found.secret_id)) == 0 then
                if found.secret_id then call('DEL', name_key(found.secret_id)) end
                if found.listing_id then call('DEL', 'onetime:listing:' .. found.listing_id) end
                if found.owner then call('ZREM', 'onetime:owner:' .. found.owner, found.entry) end
                call('DEL', key)
                call('ZREM', DUE_RECEIPT, receipt_id)
                receipts = receipts + 1
            end
        end
        more = receipts == ROWS
    end
    local others = due(DUE_OTHER, before)
    for _, key in ipairs(others) do drop_other(key) end
    return {#secrets, receipts, #others, (more or #others == ROWS) and 1 or 0}
end)

write('ready', GROWS, function() end)

look('peek', function(now, a)
    local key, found = receipt_of(a[1], 'has_passphrase', 'created_at')
    if not key or not is_living(found, now) or found.kind == 'envelope' then return end
    local head = call('HGET', secret_key(a[1]), 'head')
    return head and {found.kind, found.has_passphrase, found.created_at, found.secret_expires_at, head}
end)

look('look', function(now, a)
    local key, found = receipt_of(a[1], 'has_passphrase', 'created_at', 'window_ends_at', 'locked_until')
    if not key or found.kind ~= 'envelope' then return end
    if found.state ~= 'new' and found.state ~= 'claimed' then return end
    if tonumber(found.window_ends_at or found.ends) <= now or call('EXISTS', secret_key(a[1])) == 0 then return end
    return {found.state, found.has_passphrase, found.size, found.created_at, found.secret_expires_at, found.window_ends_at,
        found.wrong_tries, found.locked_until or 0}
end)

local function row(receipt_id, now)
    local key = receipt_key(receipt_id)
    local values = call('HMGET', key, 'secret_id', 'kind', 'state', 'has_passphrase', 'created_at', 'secret_expires_at',
        'expires_at', 'ended_at', 'wrong_tries', 'wrapped', 'listing', 'acknowledged_at', 'window_ends_at')
    if not values[1] or tonumber(values[7]) <= now then return end
    -- Its own end may have come before the sweep; then no clock makes it new again.
    if values[3] == 'new' and call('EXISTS', secret_key(values[1])) == 0 then
        values[3], values[8] = 'expired', values[6]
    end
    table.insert(values, 1, receipt_id)
    return values
end

look('receipt', function(now, a)
    local found = row(a[1], now)
    if not found then
        local receipt_id = call('GET', 'onetime:listing:' .. a[1])
        found = receipt_id and row(receipt_id, now)
    end
    return found and {found}
end)

-- 1 owner, 2 before, 3 limit
look('receipts_of', function(now, a)
    local rows, limit, seen = {}, tonumber(a[3]), 0
    local key = 'onetime:owner:' .. a[1]
    while #rows < limit do
        local entries = call('ZRANGE', key, a[2], '-inf', 'BYSCORE', 'REV', 'LIMIT', seen, limit)
        for _, entry in ipairs(entries) do
            local found = #rows < limit and row(string.sub(entry, 17), now)
            if found then rows[#rows + 1] = found end
        end
        if #entries < limit then break end
        seen = seen + #entries
    end
    return rows
end)

local function session_row(id, now)
    local values = call('HMGET', 'onetime:session:' .. id, 'account', 'created_at', 'expires_at', 'data')
    if not values[1] or tonumber(values[3]) <= now then return end
    table.insert(values, 1, id)
    return values
end

look('session', function(now, a)
    local found = session_row(a[1], now)
    return found and {found}
end)

look('sessions_of', function(now, a)
    local rows = {}
    for _, id in ipairs(call('ZRANGE', 'onetime:account:' .. a[1], 0, -1)) do
        rows[#rows + 1] = session_row(id, now)
    end
    return rows
end)

look('key_uses', function() return call('HGETALL', ROOT_KEY) end)
