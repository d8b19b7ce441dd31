-- The steps of end-to-end secrets: claim and settle, and what else asks for a proof. See envelope.py, which is the same for SQLite.

-- words: handed (numbers: window_ends_at; blobs: key, body)
--        claimed | closed | locked (numbers: seconds) | wrong (numbers: wrong_tries, lock)
CREATE OR REPLACE FUNCTION claim(
    p_now bigint, p_secret_id bytea, p_open_hash bytea, p_claim_hash bytea, p_window bigint,
    p_free bigint, p_lock bigint, p_longest_lock bigint, p_total bigint,
    OUT numbers bigint[], OUT words text[], OUT blobs bytea[], OUT gone bigint
) LANGUAGE plpgsql AS $$
DECLARE
    v_found record;
    v_until bigint := p_now + p_window;
BEGIN
    -- The one-time promise rests on this lock: whoever writes the first claim has written it before anybody else reads.
    SELECT * INTO v_found FROM receipt r JOIN envelope v USING (number) WHERE r.secret_id = p_secret_id FOR UPDATE OF r;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF v_found.state = 'claimed' THEN
        IF v_found.window_ends_at <= p_now THEN
            RETURN;
        END IF;
        IF NOT same(v_found.claim_hash, p_claim_hash) THEN
            words := ARRAY['claimed'];
            RETURN;
        END IF;
        v_until := v_found.window_ends_at;
        SELECT ARRAY[e.slots, s.body] INTO STRICT blobs
        FROM secret s JOIN eraser e ON e.block = s.number WHERE s.number = v_found.number;
    ELSE
        IF v_found.state <> 'new' OR v_found.secret_expires_at <= p_now THEN
            RETURN;
        END IF;
        SELECT * INTO numbers, words FROM try(
            p_now, v_found.number, v_found.wrong_tries, v_found.open_hash, v_found.locked_until,
            p_open_hash, p_free, p_lock, p_longest_lock, p_total
        );
        IF words IS NOT NULL THEN
            RETURN;
        END IF;
        SELECT ARRAY[e.slots, s.body] INTO STRICT blobs
        FROM secret s JOIN eraser e ON e.block = s.number WHERE s.number = v_found.number;
        UPDATE envelope SET claim_hash = p_claim_hash, open_hash = '', locked_until = 0,
            window_ends_at = CASE WHEN p_window > 0 THEN v_until END
        WHERE number = v_found.number;
        -- It outlives the content.
        UPDATE receipt SET state = CASE WHEN p_window > 0 THEN 'claimed' ELSE 'revealed' END, ended_at = p_now,
            expires_at = greatest(expires_at, v_until + p_window)
        WHERE number = v_found.number;
        IF p_window > 0 THEN
            UPDATE secret SET expires_at = v_until WHERE number = v_found.number;
        ELSE
            gone := remove(v_found.number);
        END IF;
    END IF;
    words := ARRAY['handed'];
    numbers := ARRAY[v_until];
END $$;

-- numbers: acknowledged_at
CREATE OR REPLACE FUNCTION settle(
    p_now bigint, p_secret_id bytea, p_claim_hash bytea, OUT numbers bigint[], OUT gone bigint
) LANGUAGE plpgsql AS $$
DECLARE
    v_found record;
BEGIN
    SELECT v.number, v.claim_hash, v.acknowledged_at INTO v_found FROM receipt r JOIN envelope v USING (number)
    WHERE r.secret_id = p_secret_id AND r.expires_at > p_now FOR UPDATE OF r;
    IF NOT FOUND OR v_found.claim_hash IS NULL OR NOT same(v_found.claim_hash, p_claim_hash) THEN
        RETURN;
    END IF;
    IF v_found.acknowledged_at IS NULL THEN
        v_found.acknowledged_at := p_now;
        UPDATE envelope SET acknowledged_at = p_now, window_ends_at = NULL WHERE number = v_found.number;
        UPDATE receipt SET acknowledged = true, state = 'revealed' WHERE number = v_found.number;
        gone := remove(v_found.number);
    END IF;
    numbers := ARRAY[v_found.acknowledged_at];
END $$;

-- words: burned, or as claim
CREATE OR REPLACE FUNCTION burn_proved(
    p_now bigint, p_secret_id bytea, p_open_hash bytea, p_claim_hash bytea,
    p_free bigint, p_lock bigint, p_longest_lock bigint, p_total bigint,
    OUT numbers bigint[], OUT words text[], OUT gone bigint
) LANGUAGE plpgsql AS $$
DECLARE
    v_found record;
BEGIN
    SELECT * INTO v_found FROM receipt r JOIN envelope v USING (number) WHERE r.secret_id = p_secret_id FOR UPDATE OF r;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF v_found.state = 'claimed' THEN
        IF v_found.window_ends_at > p_now THEN
            words := ARRAY['claimed'];
            IF same(v_found.claim_hash, p_claim_hash) THEN
                gone := end_window(v_found.number);
            END IF;
        END IF;
        RETURN;
    END IF;
    IF p_open_hash = '' OR v_found.state <> 'new' OR v_found.secret_expires_at <= p_now THEN
        RETURN;
    END IF;
    SELECT * INTO numbers, words FROM try(
        p_now, v_found.number, v_found.wrong_tries, v_found.open_hash, v_found.locked_until,
        p_open_hash, p_free, p_lock, p_longest_lock, p_total
    );
    IF words IS NOT NULL THEN
        RETURN;
    END IF;
    gone := remove(v_found.number);
    UPDATE receipt SET state = 'burned', ended_at = p_now WHERE number = v_found.number;
    UPDATE envelope SET open_hash = '', locked_until = 0 WHERE number = v_found.number;
    words := ARRAY['burned'];
END $$;

-- Why the proof does not open a living secret; no words if it does. A wrong one is debited.
CREATE OR REPLACE FUNCTION try(
    p_now bigint, p_number bigint, p_wrong_tries bigint, p_right_hash bytea, p_locked_until bigint,
    p_open_hash bytea, p_free bigint, p_lock bigint, p_longest_lock bigint, p_total bigint,
    OUT numbers bigint[], OUT words text[]
) LANGUAGE plpgsql AS $$
DECLARE
    v_latest bigint;
    v_lock bigint;
BEGIN
    IF p_wrong_tries >= p_total THEN
        words := ARRAY['closed'];
        RETURN;
    END IF;
    IF p_locked_until > p_now THEN
        -- A clock that was set back must not stretch a lock.
        v_latest := p_now + lock_after(p_wrong_tries, p_free, p_lock, p_longest_lock);
        IF p_locked_until > v_latest THEN
            UPDATE envelope SET locked_until = v_latest WHERE number = p_number;
        END IF;
        words := ARRAY['locked'];
        numbers := ARRAY[least(p_locked_until, v_latest) - p_now];
        RETURN;
    END IF;
    IF same(p_right_hash, p_open_hash) THEN
        RETURN;
    END IF;
    v_lock := lock_after(p_wrong_tries + 1, p_free, p_lock, p_longest_lock);
    UPDATE receipt SET wrong_tries = p_wrong_tries + 1 WHERE number = p_number;
    IF v_lock > 0 THEN
        UPDATE envelope SET locked_until = p_now + v_lock WHERE number = p_number;
    END IF;
    words := ARRAY['wrong'];
    numbers := ARRAY[p_wrong_tries + 1, v_lock];
END $$;

-- As port.Tries.lock_after.
CREATE OR REPLACE FUNCTION lock_after(p_wrong_tries bigint, p_free bigint, p_lock bigint, p_longest_lock bigint)
RETURNS bigint LANGUAGE sql IMMUTABLE
RETURN CASE WHEN p_wrong_tries < p_free THEN 0
    ELSE least(p_lock << least(p_wrong_tries - p_free, 30)::integer, p_longest_lock) END;

-- Of a claimed one: the content goes; it was handed out.
CREATE OR REPLACE FUNCTION end_window(p_number bigint) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    UPDATE receipt SET state = 'revealed' WHERE number = p_number AND state = 'claimed';
    UPDATE envelope SET window_ends_at = NULL WHERE number = p_number;
    RETURN remove(p_number);
END $$;

CREATE OR REPLACE FUNCTION say_awake(p_now bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE vault SET awake_at = p_now;
END $$;

-- Give the windows once more that the service has slept through. One process at a time, and the second finds them given.
CREATE OR REPLACE FUNCTION wake(p_now bigint, p_slept bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_awake_at bigint;
    v_found record;
BEGIN
    SELECT awake_at INTO v_awake_at FROM vault FOR UPDATE;
    -- Whoever has committed something was awake. Instants that a clock left behind which was set back say nothing.
    SELECT coalesce(max(at), 0) INTO v_awake_at
    FROM (SELECT v_awake_at AS at UNION ALL SELECT at FROM writer) AS said WHERE at <= p_now;
    IF p_now - v_awake_at > p_slept THEN
        FOR v_found IN
            SELECT number, v.window_ends_at - r.ended_at AS seconds FROM envelope v JOIN receipt r USING (number)
            WHERE v.window_ends_at > v_awake_at AND NOT v.woken AND r.state = 'claimed' FOR UPDATE OF r
        LOOP
            UPDATE envelope SET woken = true, window_ends_at = p_now + v_found.seconds WHERE number = v_found.number;
            UPDATE secret SET expires_at = p_now + v_found.seconds WHERE number = v_found.number;
            UPDATE receipt SET expires_at = greatest(expires_at, p_now + 2 * v_found.seconds)
            WHERE number = v_found.number;
        END LOOP;
    END IF;
    PERFORM say_awake(p_now);
END $$;
