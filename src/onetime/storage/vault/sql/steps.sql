-- What each verb does inside a transaction. An answer is three arrays: numbers, words, blobs; without any, "None".
-- `gone` is the size of what was removed, in bytes.
--
-- Rows are locked receipt first, then secret, by everybody but the sweep, which steps over what is locked.

CREATE OR REPLACE FUNCTION instant() RETURNS bigint LANGUAGE sql VOLATILE
RETURN (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;

-- What a secret counts for in the vault's size: its body, and about what its other rows take.
CREATE OR REPLACE FUNCTION size_of(p_body bytea) RETURNS bigint LANGUAGE sql IMMUTABLE
RETURN octet_length(p_body)::bigint + 1024;

-- In a time that says nothing about where they differ.
CREATE OR REPLACE FUNCTION same(p_one bytea, p_other bytea) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_salt bytea := uuid_send(gen_random_uuid());
BEGIN
    RETURN sha256(v_salt || p_one) = sha256(v_salt || p_other);
END $$;

-- Content and key; null if it was not there.
CREATE OR REPLACE FUNCTION remove(p_number bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_size bigint;
BEGIN
    DELETE FROM eraser WHERE block = p_number;
    DELETE FROM secret WHERE number = p_number RETURNING size_of(body) INTO v_size;
    RETURN v_size;
END $$;

CREATE OR REPLACE FUNCTION known(p_secret_id bytea, p_receipt_id bytea, p_listing_id bytea) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_number bigint;
BEGIN
    SELECT number INTO v_number FROM receipt WHERE secret_id = p_secret_id;
    IF NOT FOUND THEN
        SELECT number INTO v_number FROM receipt WHERE receipt_id = p_receipt_id;
    END IF;
    IF NOT FOUND AND p_listing_id IS NOT NULL THEN
        SELECT number INTO v_number FROM receipt WHERE listing_id = p_listing_id;
    END IF;
    RETURN v_number;
END $$;

-- words: stored | earlier (blobs: the sealed answer) | full | conflict
--        known, if all but the body is the same (numbers: created_at; blobs: key, body)
CREATE OR REPLACE FUNCTION put(
    p_now bigint, p_room bigint, p_needed bigint,
    p_secret_id bytea, p_receipt_id bytea, p_kind text, p_has_passphrase boolean,
    p_created_at bigint, p_expires_at bigint, p_receipt_expires_at bigint, p_key_number bigint,
    p_head bytea, p_key bytea, p_body bytea, p_wrapped bytea, p_open_hash bytea,
    p_owner bytea, p_listing_id bytea, p_listing bytea,
    p_answer_id bytea, p_answer_sealed bytea, p_answer_expires_at bigint,
    OUT numbers bigint[], OUT words text[], OUT blobs bytea[]
) LANGUAGE plpgsql AS $$
DECLARE
    v_number bigint;
    v_sealed bytea;
BEGIN
    IF p_answer_id IS NOT NULL THEN
        SELECT sealed INTO v_sealed FROM answer WHERE answer_id = p_answer_id AND expires_at > p_now;
        IF FOUND THEN
            words := ARRAY['earlier'];
            blobs := ARRAY[v_sealed];
            RETURN;
        END IF;
    END IF;
    IF p_room >= p_needed THEN
        INSERT INTO receipt (secret_id, receipt_id, kind, state, has_passphrase, created_at, secret_expires_at, expires_at,
            wrapped, owner, listing_id, listing)
        VALUES (p_secret_id, p_receipt_id, p_kind, 'new', p_has_passphrase, p_created_at, p_expires_at,
            p_receipt_expires_at, p_wrapped, p_owner, p_listing_id, p_listing)
        ON CONFLICT DO NOTHING RETURNING number INTO v_number;
    END IF;
    IF v_number IS NULL THEN
        v_number := known(p_secret_id, p_receipt_id, p_listing_id);
        IF v_number IS NULL THEN
            words := ARRAY['full'];
            RETURN;
        END IF;
        SELECT ARRAY[r.created_at], ARRAY[e.slots, s.body] INTO numbers, blobs
        FROM receipt r JOIN secret s USING (number) JOIN eraser e ON e.block = r.number LEFT JOIN envelope v USING (number)
        WHERE r.number = v_number AND r.state = 'new' AND r.secret_expires_at > p_now
            AND r.secret_id = p_secret_id AND r.receipt_id = p_receipt_id AND r.kind = p_kind
            AND r.has_passphrase = p_has_passphrase AND v.open_hash IS NOT DISTINCT FROM p_open_hash
            AND CASE WHEN p_open_hash IS NULL THEN
                r.created_at = p_created_at AND r.secret_expires_at = p_expires_at
                AND r.expires_at = p_receipt_expires_at AND s.key_number = p_key_number AND s.head = p_head
                AND r.wrapped = p_wrapped AND r.owner IS NOT DISTINCT FROM p_owner
                AND r.listing_id IS NOT DISTINCT FROM p_listing_id AND r.listing IS NOT DISTINCT FROM p_listing
            ELSE
                r.secret_expires_at - r.created_at = p_expires_at - p_created_at
                AND r.expires_at - r.created_at = p_receipt_expires_at - p_created_at
            END;
        words := ARRAY[CASE WHEN numbers IS NULL THEN 'conflict' ELSE 'known' END];
        RETURN;
    END IF;
    INSERT INTO secret (number, expires_at, key_number, head, body)
    VALUES (v_number, p_expires_at, p_key_number, p_head, p_body);
    INSERT INTO eraser (block, slots) VALUES (v_number, p_key);
    IF p_open_hash IS NOT NULL THEN
        INSERT INTO envelope (number, open_hash) VALUES (v_number, p_open_hash);
    END IF;
    IF p_answer_id IS NOT NULL THEN
        INSERT INTO answer VALUES (p_answer_id, p_answer_expires_at, p_answer_sealed)
        ON CONFLICT (answer_id) DO UPDATE SET expires_at = excluded.expires_at, sealed = excluded.sealed;
    END IF;
    words := ARRAY['stored'];
END $$;

-- numbers: has_passphrase, created_at, expires_at; words: kind; blobs: head, key, body
CREATE OR REPLACE FUNCTION take(
    p_now bigint, p_secret_id bytea, p_proof bytea, p_refund boolean, p_keys bytea[],
    OUT numbers bigint[], OUT words text[], OUT blobs bytea[], OUT gone bigint
) LANGUAGE plpgsql AS $$
DECLARE
    v_number bigint;
    v_head bytea;
    v_body bytea;
    v_key bytea;
BEGIN
    -- The one-time promise rests on this statement: of any number of callers the row lets one through while its state is
    -- new, and only that one goes on to the content. A SELECT followed by a DELETE gives the secret to every caller that gets
    -- between the two. The proof is found in the head or the secret stays; without one it is empty, which is found everywhere.
    UPDATE receipt r SET state = 'revealed', ended_at = p_now, wrapped = '',
        wrong_tries = greatest(r.wrong_tries - p_refund::integer, 0)
    FROM secret s
    WHERE r.secret_id = p_secret_id AND r.state = 'new' AND r.secret_expires_at > p_now AND r.kind <> 'envelope'
        AND s.number = r.number AND position(p_proof IN s.head) > 0
    RETURNING r.number, ARRAY[r.has_passphrase::integer, r.created_at, r.secret_expires_at], ARRAY[r.kind]
    INTO v_number, numbers, words;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    DELETE FROM secret WHERE number = v_number RETURNING head, body INTO STRICT v_head, v_body;
    DELETE FROM eraser WHERE block = v_number RETURNING slots INTO STRICT v_key;
    PERFORM give_back(p_keys);
    blobs := ARRAY[v_head, v_key, v_body];
    gone := size_of(v_body);
END $$;

-- words: burned
CREATE OR REPLACE FUNCTION burn(
    p_now bigint, p_secret_id bytea, p_refund boolean, p_keys bytea[], OUT words text[], OUT gone bigint
) LANGUAGE plpgsql AS $$
DECLARE
    v_number bigint;
BEGIN
    UPDATE receipt SET state = 'burned', ended_at = p_now, wrapped = '',
        wrong_tries = greatest(wrong_tries - p_refund::integer, 0)
    WHERE secret_id = p_secret_id AND state = 'new' AND secret_expires_at > p_now
    RETURNING number INTO v_number;
    IF FOUND THEN
        words := ARRAY['burned'];
        gone := remove(v_number);
        PERFORM give_back(p_keys);
        UPDATE envelope SET open_hash = '', locked_until = 0 WHERE number = v_number;
        RETURN;
    END IF;
    SELECT number INTO v_number FROM receipt WHERE secret_id = p_secret_id AND state = 'claimed' FOR UPDATE;
    IF FOUND THEN
        gone := end_window(v_number);
    END IF;
END $$;

-- As take; the secret stays.
CREATE OR REPLACE FUNCTION show_once(
    p_now bigint, p_receipt_id bytea, p_within bigint, OUT numbers bigint[], OUT words text[], OUT blobs bytea[]
) LANGUAGE plpgsql AS $$
DECLARE
    v_number bigint;
BEGIN
    UPDATE receipt SET shown = true
    WHERE receipt_id = p_receipt_id AND state = 'new' AND NOT shown AND kind = 'generate'
        AND secret_expires_at > p_now AND created_at > p_now - p_within
    RETURNING number, ARRAY[has_passphrase::integer, created_at, secret_expires_at], ARRAY[kind]
    INTO v_number, numbers, words;
    IF FOUND THEN
        SELECT ARRAY[s.head, e.slots, s.body, r.secret_id] INTO STRICT blobs
        FROM secret s JOIN eraser e ON e.block = s.number JOIN receipt r USING (number) WHERE s.number = v_number;
    END IF;
END $$;

-- All or none. p_budgets: limit, window, lock of each. numbers: left, refused, retry_after
CREATE OR REPLACE FUNCTION debit(p_now bigint, p_keys bytea[], p_budgets bigint[], OUT numbers bigint[]) LANGUAGE plpgsql AS $$
DECLARE
    v_left bigint := 1 << 30;
    v_row counter;
    v_rows counter[] := '{}';
    v_limit bigint;
    v_window bigint;
    v_lock bigint;
BEGIN
    FOR i IN 1 .. cardinality(p_keys) LOOP
        v_limit := p_budgets[3 * i - 2];
        v_window := p_budgets[3 * i - 1];
        v_lock := p_budgets[3 * i];
        SELECT * INTO v_row FROM counter WHERE key = p_keys[i] FOR UPDATE;
        IF NOT FOUND THEN
            v_row := (p_keys[i], 0, 0, 0, 0);
        END IF;
        -- A clock that was set back must stretch neither window nor lock.
        IF v_row.window_ends_at > p_now + v_window OR v_row.locked_until > p_now + v_lock THEN
            v_row.window_ends_at := least(v_row.window_ends_at, p_now + v_window);
            v_row.locked_until := least(v_row.locked_until, p_now + v_lock);
            UPDATE counter SET window_ends_at = v_row.window_ends_at, locked_until = v_row.locked_until
            WHERE key = v_row.key;
        END IF;
        IF v_row.locked_until > p_now THEN
            numbers := ARRAY[0, i - 1, v_row.locked_until - p_now];
            RETURN;
        END IF;
        IF v_row.window_ends_at <= p_now OR v_row.locked_until <> 0 THEN
            -- The window is over, or a lock was served: from the start again.
            v_row.used := 0;
            v_row.window_ends_at := p_now + v_window;
            v_row.locked_until := 0;
        END IF;
        IF v_row.used >= v_limit THEN
            numbers := ARRAY[0, i - 1, v_row.window_ends_at - p_now];
            RETURN;
        END IF;
        v_row.used := v_row.used + 1;
        IF v_row.used = v_limit AND v_lock <> 0 THEN
            v_row.locked_until := p_now + v_lock;
        END IF;
        v_left := least(v_left, v_limit - v_row.used);
        v_row.expires_at := greatest(v_row.window_ends_at, v_row.locked_until);
        v_rows := v_rows || v_row;
    END LOOP;
    FOREACH v_row IN ARRAY v_rows LOOP
        INSERT INTO counter VALUES (v_row.*)
        ON CONFLICT (key) DO UPDATE SET used = excluded.used, window_ends_at = excluded.window_ends_at,
            locked_until = excluded.locked_until, expires_at = excluded.expires_at;
    END LOOP;
    numbers := ARRAY[v_left, NULL, NULL];
END $$;

CREATE OR REPLACE FUNCTION give_back(p_keys bytea[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. cardinality(p_keys) LOOP
        UPDATE counter SET used = used - 1, locked_until = 0 WHERE key = p_keys[i] AND used > 0;
    END LOOP;
END $$;

-- numbers: left, refused (-1: the total for the secret's life), retry_after
CREATE OR REPLACE FUNCTION spend(
    p_now bigint, p_secret_id bytea, p_total bigint, p_keys bytea[], p_budgets bigint[], OUT numbers bigint[]
) LANGUAGE plpgsql AS $$
DECLARE
    v_number bigint;
    v_tries bigint;
BEGIN
    SELECT number, wrong_tries INTO v_number, v_tries FROM receipt
    WHERE secret_id = p_secret_id AND state = 'new' AND secret_expires_at > p_now AND kind <> 'envelope' FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF v_tries >= p_total THEN
        numbers := ARRAY[0, -1, NULL];
        RETURN;
    END IF;
    numbers := debit(p_now, p_keys, p_budgets);
    IF numbers[2] IS NULL THEN
        UPDATE receipt SET wrong_tries = wrong_tries + 1 WHERE number = v_number;
        numbers[1] := least(numbers[1], p_total - v_tries - 1);
    END IF;
END $$;

CREATE OR REPLACE FUNCTION refund(p_secret_id bytea, p_keys bytea[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE receipt SET wrong_tries = wrong_tries - 1
    WHERE secret_id = p_secret_id AND wrong_tries > 0 AND kind <> 'envelope';
    PERFORM give_back(p_keys);
END $$;

CREATE OR REPLACE FUNCTION daily_key(p_day bigint, p_candidate bytea, p_expires_at bigint, OUT blobs bytea[]) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO daily_key VALUES (p_day, p_candidate, p_expires_at) ON CONFLICT DO NOTHING;
    SELECT ARRAY[key] INTO blobs FROM daily_key WHERE day = p_day;
END $$;

-- words: other | lacking | adopted
CREATE OR REPLACE FUNCTION adopt(p_now bigint, p_numbers bigint[], p_verifiers bytea[], OUT words text[]) LANGUAGE plpgsql AS $$
DECLARE
    v_verifier bytea;
BEGIN
    SELECT verifier INTO v_verifier FROM vault FOR UPDATE;
    IF v_verifier IS NOT NULL AND v_verifier <> ALL (p_verifiers) THEN
        words := ARRAY['other'];
    ELSIF EXISTS (SELECT FROM root_key WHERE number <> ALL (p_numbers) AND needed_until > p_now) THEN
        words := ARRAY['lacking'];
    ELSE
        UPDATE vault SET verifier = p_verifiers[1] WHERE verifier IS DISTINCT FROM p_verifiers[1];
        words := ARRAY['adopted'];
    END IF;
END $$;

-- numbers: secrets, receipts, others, more
CREATE OR REPLACE FUNCTION sweep(p_now bigint, p_grace bigint, p_rows integer, OUT numbers bigint[], OUT gone bigint) LANGUAGE plpgsql AS $$
DECLARE
    v_before bigint := p_now - p_grace;
    v_secrets bigint[];
    v_receipts bigint[];
    v_table text;
    v_count bigint;
    v_others bigint := 0;
    v_more boolean;
BEGIN
    PERFORM say_awake(p_now);
    v_secrets := ARRAY(
        SELECT number FROM secret WHERE expires_at <= v_before
        ORDER BY expires_at LIMIT p_rows FOR UPDATE SKIP LOCKED
    );
    -- The receipt learns it with the removal: a clock set back must not call new what is no more.
    UPDATE receipt SET state = 'expired', ended_at = secret_expires_at, wrapped = ''
    WHERE number = ANY (v_secrets) AND state = 'new';
    UPDATE receipt SET state = 'revealed' WHERE number = ANY (v_secrets) AND state = 'claimed';
    UPDATE envelope SET window_ends_at = NULL, open_hash = '', locked_until = 0 WHERE number = ANY (v_secrets);
    DELETE FROM eraser WHERE block = ANY (v_secrets);
    WITH removed AS (DELETE FROM secret WHERE number = ANY (v_secrets) RETURNING size_of(body) AS size)
    SELECT coalesce(sum(size), 0) INTO gone FROM removed;
    v_more := cardinality(v_secrets) = p_rows;
    v_receipts := '{}';
    -- A receipt outlives its secret, whatever the order of expiries.
    IF NOT v_more THEN
        v_receipts := ARRAY(
            SELECT number FROM receipt r WHERE expires_at <= v_before
                AND NOT EXISTS (SELECT FROM secret s WHERE s.number = r.number)
            ORDER BY expires_at LIMIT p_rows FOR UPDATE SKIP LOCKED
        );
        DELETE FROM envelope WHERE number = ANY (v_receipts);
        DELETE FROM receipt WHERE number = ANY (v_receipts);
        v_more := cardinality(v_receipts) = p_rows;
    END IF;
    FOREACH v_table IN ARRAY ARRAY['answer', 'counter', 'daily_key', 'token', 'session'] LOOP
        EXECUTE format(
            'DELETE FROM %1$I WHERE ctid = ANY (ARRAY(SELECT ctid FROM %1$I WHERE expires_at <= $1
            ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED))', v_table
        ) USING v_before, p_rows;
        GET DIAGNOSTICS v_count = ROW_COUNT;
        v_others := v_others + v_count;
        v_more := v_more OR v_count = p_rows;
    END LOOP;
    -- What a process that is no more has counted, this one takes over.
    WITH silent AS (SELECT writer FROM writer WHERE at < p_now - 86400 FOR UPDATE SKIP LOCKED),
    removed AS (DELETE FROM writer USING silent WHERE writer.writer = silent.writer RETURNING size_bytes)
    SELECT gone - coalesce(sum(size_bytes), 0) INTO gone FROM removed;
    numbers := ARRAY[cardinality(v_secrets), cardinality(v_receipts), v_others, v_more::integer];
END $$;
