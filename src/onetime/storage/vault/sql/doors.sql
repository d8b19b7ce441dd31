-- What the service may call: three functions that run with the rights of the owner. Whoever has only these can do what the
-- verbs do, and no more: there is none that lists, and none that gives out a body and leaves it where it is, except to
-- whoever knows a receipt or a claim.

-- The steps of one batch, in the order they came; one row each, and before them one with the instant (microseconds). `locks`
-- stand for all that the steps name, sorted, so that two batches never wait for each other in a ring.
CREATE OR REPLACE FUNCTION apply(
    p_writer bytea, p_token bytea, p_locks bigint[], p_awake_at bigint, p_max_bytes bigint, p_steps step[]
) RETURNS TABLE (place integer, numbers bigint[], words text[], blobs bytea[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = onetime, pg_temp AS $$
DECLARE
    v_instant bigint;
    v_now bigint;
    v_step step;
    n bigint[];
    w text[];
    b bytea[];
    v_room bigint;
    v_needed bigint;
    v_size bigint := 0;
    v_gone bigint;
    v_key_number bigint;
    v_key_numbers bigint[] := '{}';
    v_key_needs bigint[] := '{}';
    v_position integer;
    v_count bigint;
BEGIN
    FOR i IN 1 .. cardinality(p_locks) LOOP
        PERFORM pg_advisory_xact_lock(p_locks[i]);
    END LOOP;
    -- After the waiting: an instant is not older than what is found.
    v_instant := instant();
    v_now := v_instant / 1000000;
    place := 0;
    numbers := ARRAY[v_instant];
    RETURN NEXT;
    IF v_now - p_awake_at > 120 THEN
        PERFORM wake(v_now, 120);
    END IF;
    FOREACH v_step IN ARRAY p_steps LOOP
        place := place + 1;
        numbers := NULL;
        words := NULL;
        blobs := NULL;
        v_gone := NULL;
        n := v_step.numbers;
        w := v_step.words;
        b := v_step.blobs;
        CASE v_step.verb
        WHEN 'put' THEN
            -- n: has_passphrase, created_at, expires_at, receipt_expires_at, key_number, answer_expires_at; w: kind
            -- b: secret_id, receipt_id, head, key, body, wrapped, open_hash, owner, listing_id, listing, answer_id, sealed
            IF v_room IS NULL THEN
                SELECT p_max_bytes - coalesce(sum(size_bytes), 0) INTO v_room FROM writer;
                v_room := v_room - v_size;
            END IF;
            v_needed := size_of(b[5]);
            SELECT p.numbers, p.words, p.blobs INTO numbers, words, blobs FROM put(
                v_now, v_room, v_needed, b[1], b[2], w[1], n[1] <> 0, n[2], n[3], n[4], n[5],
                b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], n[6]
            ) p;
            IF words[1] = 'stored' THEN
                v_room := v_room - v_needed;
                v_size := v_size + v_needed;
                IF b[7] IS NULL THEN
                    v_position := array_position(v_key_numbers, n[5]);
                    IF v_position IS NULL THEN
                        v_key_numbers := v_key_numbers || n[5];
                        v_key_needs := v_key_needs || n[3];
                    ELSE
                        v_key_needs[v_position] := greatest(v_key_needs[v_position], n[3]);
                    END IF;
                END IF;
            END IF;
        WHEN 'take' THEN
            -- n: refund; b: secret_id, proof, keys…
            SELECT t.numbers, t.words, t.blobs, t.gone INTO numbers, words, blobs, v_gone
            FROM take(v_now, b[1], b[2], n[1] <> 0, b[3:]) t;
        WHEN 'burn' THEN
            -- n: refund; b: secret_id, keys…
            SELECT t.words, t.gone INTO words, v_gone FROM burn(v_now, b[1], n[1] <> 0, b[2:]) t;
        WHEN 'count' THEN
            -- n: limit, window, lock; b: key
            numbers := debit(v_now, b, n);
        WHEN 'spend' THEN
            -- n: total, then limit, window, lock of each; b: secret_id, keys…
            numbers := spend(v_now, b[1], n[1], b[2:], n[2:]);
        WHEN 'refund' THEN
            -- b: secret_id, keys…
            PERFORM refund(b[1], b[2:]);
        WHEN 'show_once' THEN
            -- n: within; b: receipt_id
            SELECT t.numbers, t.words, t.blobs INTO numbers, words, blobs FROM show_once(v_now, b[1], n[1]) t;
        WHEN 'claim' THEN
            -- n: window, free, lock, longest_lock, total; b: secret_id, open_hash, claim_hash
            SELECT t.numbers, t.words, t.blobs, t.gone INTO numbers, words, blobs, v_gone
            FROM claim(v_now, b[1], b[2], b[3], n[1], n[2], n[3], n[4], n[5]) t;
        WHEN 'settle' THEN
            -- b: secret_id, claim_hash
            SELECT t.numbers, t.gone INTO numbers, v_gone FROM settle(v_now, b[1], b[2]) t;
        WHEN 'burn_proved' THEN
            -- n: free, lock, longest_lock, total; b: secret_id, open_hash, claim_hash
            SELECT t.numbers, t.words, t.gone INTO numbers, words, v_gone
            FROM burn_proved(v_now, b[1], b[2], b[3], n[1], n[2], n[3], n[4]) t;
        WHEN 'daily_key' THEN
            -- n: day, expires_at; b: candidate
            blobs := daily_key(n[1], b[1], n[2]);
        WHEN 'put_token' THEN
            -- n: expires_at; w: purpose; b: token_id, body. numbers: whether it was new
            INSERT INTO token VALUES (b[1], w[1], n[1], b[2]) ON CONFLICT DO NOTHING;
            GET DIAGNOSTICS v_count = ROW_COUNT;
            numbers := ARRAY[v_count];
        WHEN 'take_token' THEN
            -- w: purpose; b: token_id. One caller gets the row that DELETE returns.
            DELETE FROM token WHERE token_id = b[1] AND purpose = w[1] AND expires_at > v_now
            RETURNING ARRAY[body] INTO blobs;
        WHEN 'put_session' THEN
            -- n: created_at, expires_at; b: session_id, account, data. numbers: whether it was new
            INSERT INTO session VALUES (b[1], b[2], n[1], n[2], b[3]) ON CONFLICT DO NOTHING;
            GET DIAGNOSTICS v_count = ROW_COUNT;
            numbers := ARRAY[v_count];
        WHEN 'extend_session' THEN
            -- n: expires_at; b: session_id
            UPDATE session SET expires_at = n[1] WHERE session_id = b[1] AND session.expires_at > v_now;
            GET DIAGNOSTICS v_count = ROW_COUNT;
            numbers := ARRAY[v_count];
        WHEN 'end_session' THEN
            -- b: session_id
            DELETE FROM session WHERE session_id = b[1];
            GET DIAGNOSTICS v_count = ROW_COUNT;
            numbers := ARRAY[v_count];
        WHEN 'end_sessions_of' THEN
            -- b: account, the session that stays or null
            DELETE FROM session WHERE account = b[1] AND session_id IS DISTINCT FROM b[2];
            GET DIAGNOSTICS v_count = ROW_COUNT;
            numbers := ARRAY[v_count];
        WHEN 'adopt' THEN
            -- n: numbers of the keys; b: their verifiers
            words := adopt(v_now, n, b);
        WHEN 'sweep' THEN
            -- What expired five minutes ago, and at most so many rows of each table.
            SELECT t.numbers, t.gone INTO numbers, v_gone FROM sweep(v_now, 300, 500) t;
        WHEN 'ready' THEN
            NULL;
        END CASE;
        v_size := v_size - coalesce(v_gone, 0);
        RETURN NEXT;
    END LOOP;
    -- What others have not written yet, and by number: of rows that all share, the fewest writes in one order.
    INSERT INTO root_key
    SELECT key_number, needed_until FROM unnest(v_key_numbers, v_key_needs) AS used (key_number, needed_until)
    WHERE NOT EXISTS (
        SELECT FROM root_key k WHERE k.number = used.key_number AND k.needed_until >= used.needed_until
    ) ORDER BY key_number
    ON CONFLICT (number) DO UPDATE SET needed_until = greatest(root_key.needed_until, excluded.needed_until);
    INSERT INTO writer VALUES (p_writer, p_token, v_now, v_size)
    ON CONFLICT (writer) DO UPDATE SET token = excluded.token, at = excluded.at,
        size_bytes = writer.size_bytes + excluded.size_bytes;
END $$;

-- Committed state; changes nothing. Rows carry the place of their step: none, one or several. The first has the instant.
CREATE OR REPLACE FUNCTION read(p_steps step[])
RETURNS TABLE (place integer, numbers bigint[], words text[], blobs bytea[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = onetime, pg_temp AS $$
DECLARE
    v_instant bigint := instant();
    v_now bigint := v_instant / 1000000;
    v_step step;
    n bigint[];
    b bytea[];
    v_number bigint;
BEGIN
    place := 0;
    numbers := ARRAY[v_instant];
    RETURN NEXT;
    FOREACH v_step IN ARRAY p_steps LOOP
        place := place + 1;
        n := v_step.numbers;
        b := v_step.blobs;
        CASE v_step.verb
        WHEN 'peek' THEN
            -- b: secret_id
            SELECT ARRAY[r.has_passphrase::integer, r.created_at, r.secret_expires_at], ARRAY[r.kind], ARRAY[s.head]
            INTO numbers, words, blobs FROM receipt r JOIN secret s USING (number)
            WHERE r.secret_id = b[1] AND r.state = 'new' AND r.secret_expires_at > v_now AND r.kind <> 'envelope';
            IF FOUND THEN
                RETURN NEXT;
            END IF;
        WHEN 'look' THEN
            -- b: secret_id
            SELECT ARRAY[
                    r.has_passphrase::integer, octet_length(s.body), r.created_at, r.secret_expires_at,
                    v.window_ends_at, r.wrong_tries, v.locked_until
                ], ARRAY[r.state], NULL
            INTO numbers, words, blobs FROM receipt r JOIN envelope v USING (number) JOIN secret s USING (number)
            WHERE r.secret_id = b[1] AND coalesce(v.window_ends_at, r.secret_expires_at) > v_now;
            IF FOUND THEN
                RETURN NEXT;
            END IF;
        WHEN 'receipt' THEN
            -- b: receipt_id or listing_id
            SELECT number INTO v_number FROM receipt WHERE receipt_id = b[1] AND expires_at > v_now;
            IF NOT FOUND THEN
                SELECT number INTO v_number FROM receipt WHERE listing_id = b[1] AND expires_at > v_now;
            END IF;
            IF v_number IS NOT NULL THEN
                SELECT r.numbers, r.words, r.blobs INTO numbers, words, blobs FROM receipt_row(v_number) r;
                RETURN NEXT;
            END IF;
        WHEN 'receipts_of' THEN
            -- n: before, limit; b: owner
            FOR v_number IN
                SELECT number FROM receipt WHERE owner = b[1] AND created_at < n[1] AND expires_at > v_now
                ORDER BY created_at DESC, number DESC LIMIT n[2]
            LOOP
                SELECT r.numbers, r.words, r.blobs INTO numbers, words, blobs FROM receipt_row(v_number) r;
                RETURN NEXT;
            END LOOP;
        WHEN 'session' THEN
            -- b: session_id
            SELECT ARRAY[s.created_at, s.expires_at], NULL, ARRAY[s.session_id, s.account, s.data]
            INTO numbers, words, blobs FROM session s WHERE s.session_id = b[1] AND s.expires_at > v_now;
            IF FOUND THEN
                RETURN NEXT;
            END IF;
        WHEN 'sessions_of' THEN
            -- b: account
            FOR numbers, words, blobs IN
                SELECT ARRAY[s.created_at, s.expires_at], NULL, ARRAY[s.session_id, s.account, s.data]
                FROM session s WHERE s.account = b[1] AND s.expires_at > v_now ORDER BY s.created_at
            LOOP
                RETURN NEXT;
            END LOOP;
        WHEN 'key_uses' THEN
            FOR numbers, words, blobs IN
                SELECT ARRAY[k.number, k.needed_until], NULL, NULL FROM root_key k ORDER BY k.number
            LOOP
                RETURN NEXT;
            END LOOP;
        END CASE;
    END LOOP;
END $$;

CREATE OR REPLACE FUNCTION receipt_row(p_number bigint, OUT numbers bigint[], OUT words text[], OUT blobs bytea[])
LANGUAGE plpgsql AS $$
BEGIN
    SELECT ARRAY[
            r.has_passphrase::integer, r.created_at, r.secret_expires_at, r.expires_at, r.ended_at,
            r.acknowledged::integer, r.wrong_tries, v.acknowledged_at, v.window_ends_at
        ], ARRAY[r.kind, r.state], ARRAY[r.receipt_id, r.secret_id, r.wrapped, r.listing]
    INTO numbers, words, blobs FROM receipt r LEFT JOIN envelope v USING (number) WHERE r.number = p_number;
END $$;

-- The token of the last commit of a writer. It waits for the row: a transaction that still holds it is not over. The lock makes
-- this a commit of its own, so where there are synchronous replicas, what it answers has reached them.
CREATE OR REPLACE FUNCTION written(p_writer bytea) RETURNS bytea
LANGUAGE plpgsql SECURITY DEFINER SET search_path = onetime, pg_temp AS $$
DECLARE
    v_token bytea;
BEGIN
    SELECT token INTO v_token FROM writer WHERE writer = p_writer FOR UPDATE;
    RETURN v_token;
END $$;
