-- What a rename and a new project, or two renames, of one commit do to slugs is judged at its end.
ALTER TABLE "projects" DROP CONSTRAINT "projects_slug_key";--> statement-breakpoint
ALTER TABLE "projects" ADD CONSTRAINT "projects_slug_key" UNIQUE ("org_id", "slug") DEFERRABLE INITIALLY DEFERRED;--> statement-breakpoint
-- On a table that seems small the planner finds both indexes equally good for a lookup by id, and takes the younger one.
ALTER TABLE "projects" DROP CONSTRAINT "projects_pkey";--> statement-breakpoint
ALTER TABLE "projects" ADD CONSTRAINT "projects_pkey" PRIMARY KEY ("org_id", "id");--> statement-breakpoint

-- jsonb can't hold \u0000 and lone surrogates, which JSON allows: they become U+FFFD. Immutable, so it can carry an expression index.
CREATE FUNCTION codespar.jsonb(p_value json) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF p_value::text !~ '\\u(0000|[dD][89a-fA-F])' THEN
    RETURN p_value::text::jsonb;
  END IF;
  RETURN (
    SELECT string_agg(
      CASE
        WHEN token = '\u0000' THEN '\ufffd'
        WHEN token ~ '^\\u[dD][89abAB]' AND following !~ '^\\u[dD][c-fC-F]' THEN '\ufffd'
        WHEN token ~ '^\\u[dD][c-fC-F]' AND preceding !~ '^\\u[dD][89abAB]' THEN '\ufffd'
        ELSE token
      END, '' ORDER BY n)::jsonb
    FROM (
      SELECT n, m[1] AS token, coalesce(lag(m[1]) OVER w, '') AS preceding, coalesce(lead(m[1]) OVER w, '') AS following
      FROM regexp_matches(p_value::text, '(\\u[0-9a-fA-F]{4}|\\.|[^\\]+)', 'g') WITH ORDINALITY AS t(m, n)
      WINDOW w AS (ORDER BY n)
    ) AS tokens
  );
END $$;--> statement-breakpoint

-- Ends a commit whose precondition doesn't hold. The detail tells the client which record and what its version is.
CREATE FUNCTION codespar.expectation_failed(p_detail json) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'the expectation does not hold' USING ERRCODE = 'CS001', DETAIL = p_detail::text;
END $$;--> statement-breakpoint

-- The functions below act for the organisation that the transaction named, whatever their argument says.
CREATE FUNCTION codespar.require_org(p_org text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF p_org IS DISTINCT FROM nullif(current_setting('codespar.org_id', true), '') OR p_org IS NULL THEN
    RAISE EXCEPTION 'the organisation is not the one this transaction named' USING ERRCODE = 'insufficient_privilege';
  END IF;
END $$;--> statement-breakpoint

-- Locks a trail until the commit and says what it is called. The row is never updated: its lock is all that matters.
CREATE FUNCTION codespar.audit_lock(p_org text, p_log text) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_log text;
BEGIN
  SELECT h.log INTO v_log FROM codespar.audit_heads AS h WHERE h.org_id = p_org FOR UPDATE;
  IF NOT FOUND THEN
    INSERT INTO codespar.audit_heads (org_id, log) VALUES (p_org, p_log) ON CONFLICT (org_id) DO NOTHING;
    SELECT h.log INTO STRICT v_log FROM codespar.audit_heads AS h WHERE h.org_id = p_org FOR UPDATE;
  END IF;
  RETURN v_log;
END $$;--> statement-breakpoint

-- The first sequence number sealed at or after an instant; the trail's size when there is none. Sealing times never go back and sequence numbers
-- have no gaps, so halving the range over the primary key finds it.
CREATE FUNCTION codespar.audit_seq_at(p_org text, p_at timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_low bigint := 0;
  v_high bigint;
  v_middle bigint;
BEGIN
  SELECT a.seq + 1 INTO v_high FROM public.audit_log AS a WHERE a.org_id = p_org ORDER BY a.seq DESC LIMIT 1;
  WHILE v_low < v_high LOOP
    v_middle := (v_low + v_high) / 2;
    IF (SELECT a.sealed_at FROM public.audit_log AS a WHERE a.org_id = p_org AND a.seq >= v_middle ORDER BY a.seq LIMIT 1) < p_at THEN
      v_low := v_middle + 1;
    ELSE
      v_high := v_middle;
    END IF;
  END LOOP;
  RETURN v_low;
END $$;--> statement-breakpoint

-- The root of RFC 6962 over a tile's 256 hashes, level by level.
CREATE FUNCTION codespar.audit_tile_root(p_hashes bytea) RETURNS bytea
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_level bytea := p_hashes;
  v_above bytea;
BEGIN
  WHILE octet_length(v_level) > 32 LOOP
    v_above := '';
    FOR i IN 0 .. octet_length(v_level) / 64 - 1 LOOP
      v_above := v_above || sha256('\x01'::bytea || substr(v_level, i * 64 + 1, 64));
    END LOOP;
    v_level := v_above;
  END LOOP;
  RETURN v_level;
END $$;--> statement-breakpoint

-- Adds the tiles that a level completes as it grows from one number of hashes to another, and what that completes above. What doesn't make a
-- whole tile, or another one than is there, is damage: it is left for verification to find, and entries go on being sealed.
CREATE FUNCTION codespar.audit_grow(p_org text, p_level integer, p_from bigint, p_to bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_hashes bytea;
BEGIN
  FOR v_index IN p_from >> 8 .. (p_to >> 8) - 1 LOOP
    IF p_level = 0 THEN
      SELECT string_agg(h.hash, ''::bytea) INTO v_hashes FROM (
        SELECT a.hash FROM public.audit_log AS a WHERE a.org_id = p_org AND a.seq >= v_index << 8 AND a.seq < v_index + 1 << 8 ORDER BY a.seq
      ) AS h;
    ELSE
      SELECT string_agg(h.root, ''::bytea) INTO v_hashes FROM (
        SELECT t.root FROM codespar.audit_tiles AS t
        WHERE t.org_id = p_org AND t.level = p_level - 1 AND t.index >= v_index << 8 AND t.index < v_index + 1 << 8 ORDER BY t.index
      ) AS h;
    END IF;
    CONTINUE WHEN octet_length(v_hashes) IS DISTINCT FROM 8192;
    INSERT INTO codespar.audit_tiles (org_id, level, index, hashes, root)
      VALUES (p_org, p_level, v_index, v_hashes, codespar.audit_tile_root(v_hashes)) ON CONFLICT (org_id, level, index) DO NOTHING;
  END LOOP;
  IF p_from >> 16 < p_to >> 16 THEN
    PERFORM codespar.audit_grow(p_org, p_level + 1, p_from >> 8, p_to >> 8);
  END IF;
END $$;--> statement-breakpoint

-- Keeps the list of intents without an outcome, for entries that were just added. The lookup asks for the order that only its index gives.
CREATE FUNCTION codespar.audit_note_intents(p_org text, p_from bigint, p_to bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_entry record;
BEGIN
  FOR v_entry IN
    SELECT a.seq, a.correlation_id, a.outcome FROM public.audit_log AS a
    WHERE a.org_id = p_org AND a.seq >= p_from AND a.seq < p_to AND a.correlation_id IS NOT NULL ORDER BY a.seq
  LOOP
    IF v_entry.outcome = 'pending' THEN
      INSERT INTO codespar.audit_open_intents (org_id, seq, correlation_id) VALUES (p_org, v_entry.seq, v_entry.correlation_id)
        ON CONFLICT (org_id, seq) DO NOTHING;
    ELSE
      DELETE FROM codespar.audit_open_intents AS o WHERE o.org_id = p_org AND o.ctid = ANY (ARRAY(
        SELECT i.ctid FROM codespar.audit_open_intents AS i
        WHERE i.org_id = p_org AND i.correlation_id IS NOT NULL AND (i.correlation_id, i.seq) >= (v_entry.correlation_id, 0)
          AND (i.correlation_id, i.seq) < (v_entry.correlation_id, v_entry.seq)
        ORDER BY i.correlation_id, i.seq));
    END IF;
  END LOOP;
END $$;--> statement-breakpoint

-- Seals entries at the end of a trail. Each comes as four segments of its canonical JSON, cut at log, prev, seq and ts. An id that the trail
-- holds is left out and told in "known". The caller recomputes every byte from what is returned.
CREATE FUNCTION codespar.audit_append(
  p_org text, p_log text, p_ts text,
  p_ids text[], p_before_log text[], p_before_prev text[], p_before_seq text[], p_before_ts text[],
  p_actor_types text[], p_actor_ids text[], p_actions text[], p_outcomes text[], p_target_types text[], p_target_ids text[],
  p_agent_ids text[], p_projects text[], p_risks text[], p_correlation_ids text[], p_occurred_ats text[],
  p_part_entries integer[], p_part_names text[], p_part_salts bytea[], p_part_bodies text[],
  OUT log text, OUT ts text, OUT first_seq bigint, OUT first_prev text, OUT last_hash text, OUT known json
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_seq bigint;
  v_prev bytea;
  v_ts text;
  v_leaf bytea;
  v_known text[];
  v_seqs bigint[] := '{}';
  v_prevs bytea[] := '{}';
  v_hashes bytea[] := '{}';
  v_leaves bytea[] := '{}';
BEGIN
  IF p_org IS DISTINCT FROM nullif(current_setting('codespar.org_id', true), '') OR p_org IS NULL THEN
    PERFORM codespar.require_org(p_org);
  END IF;
  SELECT h.log INTO log FROM codespar.audit_heads AS h WHERE h.org_id = p_org FOR UPDATE;
  IF NOT FOUND THEN
    log := codespar.audit_lock(p_org, p_log);
  END IF;
  -- A statement of its own, so that it sees what the lock waited for.
  SELECT a.seq, a.hash, to_char(a.sealed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') INTO v_seq, v_prev, v_ts
    FROM public.audit_log AS a WHERE a.org_id = p_org ORDER BY a.seq DESC LIMIT 1;
  v_seq := coalesce(v_seq + 1, 0);
  v_prev := coalesce(v_prev, decode(repeat('00', 32), 'hex'));
  ts := greatest(p_ts COLLATE "C", v_ts COLLATE "C");
  first_seq := v_seq;
  first_prev := encode(v_prev, 'hex');
  SELECT array_agg(k.id), json_agg(json_build_array(k.id, k.seq, encode(k.leaf, 'hex'))) INTO v_known, known
    FROM unnest(p_ids) AS u(id) CROSS JOIN LATERAL (
      -- In the order of ids, which only their own index gives: with "=" the planner may take any other of an empty table's for as good.
      SELECT a.id, a.seq, a.leaf FROM public.audit_log AS a
      WHERE a.org_id = p_org AND a.id >= u.id AND a.id <= u.id ORDER BY a.id LIMIT 1
    ) AS k;
  FOR i IN 1 .. cardinality(p_ids) LOOP
    IF p_ids[i] = ANY (v_known) THEN
      v_seqs := v_seqs || NULL::bigint;
      v_prevs := v_prevs || NULL::bytea;
      v_hashes := v_hashes || NULL::bytea;
      v_leaves := v_leaves || NULL::bytea;
      CONTINUE;
    END IF;
    v_leaf := convert_to(concat(p_before_log[i], log, p_before_prev[i], encode(v_prev, 'hex'), p_before_seq[i], v_seq::text,
      p_before_ts[i], ts, '","v":1}'), 'UTF8');
    v_seqs := v_seqs || v_seq;
    v_prevs := v_prevs || v_prev;
    v_leaves := v_leaves || v_leaf;
    v_prev := sha256('\x00'::bytea || v_leaf);
    v_hashes := v_hashes || v_prev;
    v_seq := v_seq + 1;
  END LOOP;
  last_hash := encode(v_prev, 'hex');
  INSERT INTO public.audit_log (org_id, seq, id, sealed_at, prev, hash, leaf, actor_type, actor_id, action, outcome,
      target_type, target_id, agent_id, project, risk, correlation_id, occurred_at)
    SELECT p_org, v_seqs[i], p_ids[i], ts::timestamptz, v_prevs[i], v_hashes[i], v_leaves[i], p_actor_types[i], p_actor_ids[i],
      p_actions[i], p_outcomes[i], p_target_types[i], p_target_ids[i], p_agent_ids[i], p_projects[i], p_risks[i],
      p_correlation_ids[i], p_occurred_ats[i]::timestamptz
    FROM generate_series(1, cardinality(p_ids)) AS i WHERE v_seqs[i] IS NOT NULL;
  IF cardinality(p_part_entries) > 0 THEN
    INSERT INTO codespar.audit_parts (org_id, seq, name, salt, body)
      SELECT p_org, v_seqs[u.entry], u.name, u.salt, u.body
      FROM unnest(p_part_entries, p_part_names, p_part_salts, p_part_bodies) AS u(entry, name, salt, body)
      WHERE v_seqs[u.entry] IS NOT NULL;
  END IF;
  IF first_seq >> 8 < v_seq >> 8 THEN
    PERFORM codespar.audit_grow(p_org, 0, first_seq, v_seq);
  END IF;
  -- Most entries tell of no intent, and pay nothing for those that do.
  IF array_remove(p_correlation_ids, NULL) <> '{}' THEN
    PERFORM codespar.audit_note_intents(p_org, first_seq, v_seq);
  END IF;
END $$;--> statement-breakpoint

-- Takes over a run of another store's trail as it is, at the end of this one. Every hash and link is checked.
CREATE FUNCTION codespar.audit_import(
  p_org text, p_log text,
  p_seqs bigint[], p_sealed_ats text[], p_prevs bytea[], p_leaves bytea[], p_ids text[],
  p_actor_types text[], p_actor_ids text[], p_actions text[], p_outcomes text[], p_target_types text[], p_target_ids text[],
  p_agent_ids text[], p_projects text[], p_risks text[], p_correlation_ids text[], p_occurred_ats text[],
  p_part_seqs bigint[], p_part_names text[], p_part_salts bytea[], p_part_bodies text[]
) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_seq bigint;
  v_prev bytea;
  v_hashes bytea[] := '{}';
BEGIN
  PERFORM codespar.require_org(p_org);
  IF codespar.audit_lock(p_org, p_log) IS DISTINCT FROM p_log THEN
    RAISE EXCEPTION 'the trail has another identity' USING ERRCODE = 'CS003';
  END IF;
  SELECT a.seq, a.hash INTO v_seq, v_prev FROM public.audit_log AS a WHERE a.org_id = p_org ORDER BY a.seq DESC LIMIT 1;
  v_seq := coalesce(v_seq + 1, 0);
  v_prev := coalesce(v_prev, decode(repeat('00', 32), 'hex'));
  FOR i IN 1 .. cardinality(p_seqs) LOOP
    IF p_seqs[i] IS DISTINCT FROM v_seq THEN
      RAISE EXCEPTION 'the trail ends before entry %, not before %', v_seq, p_seqs[i] USING ERRCODE = 'CS003';
    END IF;
    IF p_prevs[i] IS DISTINCT FROM v_prev THEN
      RAISE EXCEPTION 'entry % does not follow the one before it', v_seq USING ERRCODE = 'CS003';
    END IF;
    v_prev := sha256('\x00'::bytea || p_leaves[i]);
    v_hashes := v_hashes || v_prev;
    v_seq := v_seq + 1;
  END LOOP;
  INSERT INTO public.audit_log (org_id, seq, id, sealed_at, prev, hash, leaf, actor_type, actor_id, action, outcome,
      target_type, target_id, agent_id, project, risk, correlation_id, occurred_at)
    SELECT p_org, u.seq, u.id, u.sealed_at::timestamptz, u.prev, u.hash, u.leaf, u.actor_type, u.actor_id, u.action, u.outcome,
      u.target_type, u.target_id, u.agent_id, u.project, u.risk, u.correlation_id, u.occurred_at::timestamptz
    FROM unnest(p_seqs, p_sealed_ats, p_prevs, v_hashes, p_leaves, p_ids, p_actor_types, p_actor_ids, p_actions, p_outcomes,
        p_target_types, p_target_ids, p_agent_ids, p_projects, p_risks, p_correlation_ids, p_occurred_ats)
      AS u(seq, sealed_at, prev, hash, leaf, id, actor_type, actor_id, action, outcome,
        target_type, target_id, agent_id, project, risk, correlation_id, occurred_at);
  INSERT INTO codespar.audit_parts (org_id, seq, name, salt, body)
    SELECT p_org, u.seq, u.name, u.salt, u.body
    FROM unnest(p_part_seqs, p_part_names, p_part_salts, p_part_bodies) AS u(seq, name, salt, body);
  PERFORM codespar.audit_grow(p_org, 0, v_seq - cardinality(p_seqs), v_seq);
  PERFORM codespar.audit_note_intents(p_org, v_seq - cardinality(p_seqs), v_seq);
END $$;--> statement-breakpoint

-- Erases parts of entries for good; what isn't there is passed over. Chain and tree commit to them by HMAC, and stay as they are. For
-- codespar_maintenance only; whoever calls it appends an entry that says so, without which verification takes them for stolen.
CREATE FUNCTION codespar.audit_erase(p_org text, p_seqs bigint[], p_names text[]) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_erased integer := 0;
  v_count integer;
BEGIN
  PERFORM codespar.require_org(p_org);
  FOR i IN 1 .. cardinality(p_seqs) LOOP
    -- The trigger that refuses changes lets this one row go.
    PERFORM set_config('codespar.erasing', concat_ws(' ', 'part', p_seqs[i], p_names[i], 'of', p_org), true);
    DELETE FROM codespar.audit_parts AS p WHERE p.org_id = p_org AND p.seq = p_seqs[i] AND p.name = p_names[i];
    GET DIAGNOSTICS v_count = ROW_COUNT;
    v_erased := v_erased + v_count;
  END LOOP;
  PERFORM set_config('codespar.erasing', '', true);
  RETURN v_erased;
END $$;--> statement-breakpoint

-- Deletes some of an organisation's rows in the order of the primary key, behind a place in it, and tells where to go on; NULL when none is
-- left. (Without a place each step would pass by all that the steps before it deleted, for as long as somebody's old snapshot keeps it.)
CREATE FUNCTION codespar.erase_some(p_org text, p_table regclass, p_after text[], p_limit integer, OUT erased bigint, OUT last text[])
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_key text;
  v_key_as_text text;
  v_place text;
  v_behind text;
  v_regrant boolean := p_table = 'public.audit_log'::regclass AND NOT has_table_privilege(p_table, 'DELETE');
BEGIN
  -- The first column is the organisation.
  SELECT string_agg(format('%I', a.attname), ', ' ORDER BY k.n), string_agg(format('%I::text', a.attname), ', ' ORDER BY k.n),
      string_agg(format('$2[%s]::%s', k.n - 1, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY k.n)
    INTO STRICT v_key, v_key_as_text, v_place
    FROM pg_index AS i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(attnum, n)
    JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
    WHERE i.indrelid = p_table AND i.indisprimary AND k.n > 1;
  v_behind := CASE WHEN p_after IS NULL THEN '' ELSE format('AND (%s) > (%s)', v_key, v_place) END;
  EXECUTE format('SELECT ARRAY[%s] FROM %s WHERE org_id = $1 %s ORDER BY %s OFFSET $3 - 1 LIMIT 1', v_key_as_text, p_table, v_behind, v_key)
    INTO last USING p_org, p_after, p_limit;
  IF v_regrant THEN
    -- An owner that serves as its own application let go of this. The catalogue's row takes one change at a time.
    PERFORM pg_advisory_xact_lock(hashtextextended('codespar.erase_some', 0));
    GRANT DELETE ON public.audit_log TO CURRENT_USER;
  END IF;
  EXECUTE format('DELETE FROM %s WHERE org_id = $1 %s %s', p_table, v_behind,
    CASE WHEN last IS NULL THEN '' ELSE format('AND (%s) <= (%s)', v_key, replace(v_place, '$2[', '$3[')) END) USING p_org, p_after, last;
  GET DIAGNOSTICS erased = ROW_COUNT;
  IF v_regrant THEN
    REVOKE DELETE ON public.audit_log FROM CURRENT_USER;
  END IF;
END $$;--> statement-breakpoint

-- One step of erasing an organisation: some rows of one of our tables, those of the trail under its lock. For codespar_maintenance only.
CREATE FUNCTION codespar.erase_rows(p_org text, p_table text, p_after text[], p_limit integer, OUT erased bigint, OUT last text[])
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_table regclass;
BEGIN
  PERFORM codespar.require_org(p_org);
  SELECT p.polrelid INTO STRICT v_table FROM pg_policy AS p JOIN pg_class AS c ON c.oid = p.polrelid
    WHERE p.polrelid = p_table::regclass AND p.polname = c.relname || '_organisation';
  IF p_table IN ('codespar.audit_open_intents', 'codespar.audit_parts', 'codespar.audit_tiles', 'public.audit_log') THEN
    PERFORM 1 FROM codespar.audit_heads AS h WHERE h.org_id = p_org FOR UPDATE;
  END IF;
  PERFORM set_config('codespar.erasing', concat('organisation ', p_org), true);
  SELECT s.erased, s.last INTO erased, last FROM codespar.erase_some(p_org, v_table, p_after, p_limit) AS s;
  PERFORM set_config('codespar.erasing', '', true);
END $$;--> statement-breakpoint

-- The last step: the trail's head, with what was appended since the trail was erased, so that whoever appends next begins a new one; and the
-- organisation's Slack workspaces. Returns the rows by table. For codespar_maintenance only.
CREATE FUNCTION codespar.erase_head(p_org text) RETURNS TABLE (erased_table text, erased bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM codespar.require_org(p_org);
  PERFORM 1 FROM codespar.audit_heads AS h WHERE h.org_id = p_org FOR UPDATE;
  PERFORM set_config('codespar.erasing', concat('organisation ', p_org), true);
  FOREACH erased_table IN ARRAY ARRAY['codespar.audit_open_intents', 'codespar.audit_parts', 'codespar.audit_tiles', 'public.audit_log'] LOOP
    SELECT s.erased INTO erased FROM codespar.erase_some(p_org, erased_table::regclass, NULL, 2147483647) AS s;
    RETURN NEXT;
  END LOOP;
  DELETE FROM codespar.audit_heads AS h WHERE h.org_id = p_org;
  GET DIAGNOSTICS erased = ROW_COUNT;
  erased_table := 'codespar.audit_heads';
  RETURN NEXT;
  DELETE FROM codespar.slack_routes AS r WHERE r.org_id = p_org;
  GET DIAGNOSTICS erased = ROW_COUNT;
  erased_table := 'codespar.slack_routes';
  RETURN NEXT;
  PERFORM set_config('codespar.erasing', '', true);
END $$;--> statement-breakpoint

-- Gives Slack workspaces to the organisation, or takes them from it, in the transaction of the installation itself.
CREATE FUNCTION codespar.slack_route(p_org text, p_claims text[], p_releases text[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM codespar.require_org(p_org);
  DELETE FROM codespar.slack_routes AS r WHERE r.org_id = p_org AND r.team_key = ANY (p_releases);
  INSERT INTO codespar.slack_routes (team_key, org_id)
    SELECT DISTINCT c.team_key COLLATE "C", p_org FROM unnest(p_claims) AS c(team_key) ORDER BY 1
    ON CONFLICT (team_key) DO NOTHING;
  IF EXISTS (
    SELECT 1 FROM unnest(p_claims) AS c(team_key)
    WHERE NOT EXISTS (SELECT 1 FROM codespar.slack_routes AS r WHERE r.org_id = p_org AND r.team_key = c.team_key)
  ) THEN
    RAISE EXCEPTION 'the Slack workspace belongs to another organisation' USING ERRCODE = 'CS002';
  END IF;
END $$;--> statement-breakpoint

-- Removes some of what has expired, in every organisation and nothing else: never ahead of the server's own clock.
CREATE FUNCTION codespar.reclaim_expired(p_as_of timestamptz, p_limit integer) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_as_of timestamptz := least(p_as_of, now());
  v_count integer := 0;
  v_row record;
BEGIN
  PERFORM set_config('codespar.maintenance', 'on', true);
  FOR v_row IN
    SELECT m.org_id, m.agent_id, m.key FROM public.agent_memory AS m
    WHERE m.expires_at <= v_as_of ORDER BY m.expires_at LIMIT least(p_limit, 10000) FOR UPDATE SKIP LOCKED
  LOOP
    DELETE FROM public.agent_memory AS m
    WHERE m.org_id = v_row.org_id AND m.agent_id = v_row.agent_id AND m.key = v_row.key AND m.expires_at <= v_as_of;
    v_count := v_count + 1;
  END LOOP;
  PERFORM set_config('codespar.maintenance', '', true);
  RETURN v_count;
END $$;--> statement-breakpoint

-- The canary of the key that seals this database's secrets; while there is none, the ids of the keys that sealed what is stored.
CREATE FUNCTION codespar.key_state(OUT canary text, OUT key_ids text[])
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM set_config('codespar.maintenance', 'on', true);
  SELECT k.canary INTO canary FROM codespar.key_canary AS k;
  IF canary IS NULL THEN
    key_ids := ARRAY(
      SELECT split_part(c.credentials, '.', 2) FROM public.channel_configs AS c
      UNION SELECT split_part(s.tokens, '.', 2) FROM public.slack_installations AS s
      UNION SELECT split_part(k.seed, '.', 2) FROM codespar.audit_keys AS k WHERE k.seed IS NOT NULL
    );
  END IF;
  PERFORM set_config('codespar.maintenance', '', true);
END $$;--> statement-breakpoint

-- Keeps the first canary that anybody offers, and returns the one that is kept.
CREATE FUNCTION codespar.keep_key_canary(p_canary text) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_canary text;
BEGIN
  PERFORM set_config('codespar.maintenance', 'on', true);
  INSERT INTO codespar.key_canary (id, canary) VALUES (1, p_canary) ON CONFLICT (id) DO NOTHING;
  SELECT k.canary INTO STRICT v_canary FROM codespar.key_canary AS k;
  PERFORM set_config('codespar.maintenance', '', true);
  RETURN v_canary;
END $$;--> statement-breakpoint

-- Whether any organisation has an API key: from then on callers need one.
CREATE FUNCTION codespar.has_api_keys() RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_found boolean;
BEGIN
  PERFORM set_config('codespar.maintenance', 'on', true);
  SELECT EXISTS (SELECT 1 FROM codespar.api_keys) INTO v_found;
  PERFORM set_config('codespar.maintenance', '', true);
  RETURN v_found;
END $$;--> statement-breakpoint

-- Lets go what codespar.audit_erase, codespar.erase_rows and codespar.erase_head name, and nothing else.
CREATE FUNCTION codespar.refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    IF current_setting('codespar.erasing', true) = concat('organisation ', OLD.org_id) THEN
      RETURN OLD;
    ELSIF TG_TABLE_NAME = 'audit_parts' THEN
      IF current_setting('codespar.erasing', true) = concat_ws(' ', 'part', OLD.seq, OLD.name, 'of', OLD.org_id) THEN
        RETURN OLD;
      END IF;
    END IF;
  END IF;
  RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'CS004';
END $$;--> statement-breakpoint

-- ENABLE ALWAYS: session_replication_role = replica passes ordinary triggers by.
DO $$
DECLARE
  v_table regclass;
BEGIN
  FOREACH v_table IN ARRAY ARRAY['public.audit_log', 'codespar.audit_checkpoints', 'codespar.audit_heads', 'codespar.audit_parts', 'codespar.audit_tiles']::regclass[] LOOP
    EXECUTE format('CREATE TRIGGER append_only_rows BEFORE UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION codespar.refuse_change()', v_table);
    EXECUTE format('CREATE TRIGGER append_only BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION codespar.refuse_change()', v_table);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER append_only_rows', v_table);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER append_only', v_table);
  END LOOP;
END $$;--> statement-breakpoint

-- Hashes don't compress: not even trying is quicker.
ALTER TABLE codespar.audit_tiles ALTER COLUMN hashes SET STORAGE EXTERNAL;
