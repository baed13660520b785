-- Seals entries at the end of a trail, at the caller's time, or at this server's where the caller's is ahead: a trail's time never goes back, so
-- one fast clock among many would give its time to whatever is sealed after it. Each entry comes as four segments of its canonical JSON, cut at
-- log, prev, seq and ts. An id that the trail holds is left out and told in "known". The caller recomputes every byte from what is returned.
CREATE OR REPLACE FUNCTION codespar.audit_append(
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
  v_now text;
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
  IF p_ts !~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$' THEN
    RAISE EXCEPTION 'the sealing time must be an instant with six decimals, not %', p_ts USING ERRCODE = 'invalid_datetime_format';
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
  v_now := to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
  ts := greatest(least(p_ts COLLATE "C", v_now COLLATE "C"), v_ts COLLATE "C");
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
END $$;
