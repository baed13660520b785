-- What the application asks of all organisations at once, so that a login needs no more than its role: who they are, and which keys sealed how
-- much. Nothing of what they hold comes out.

-- The organisations that hold anything, behind a place in the order of their ids: at most a thousand. One index probe per organisation and table,
-- however many rows there are. The trails' heads come first, which nearly all have: other tables aren't followed beyond the page.
CREATE FUNCTION codespar.organisations(p_after text, p_limit integer) RETURNS SETOF text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_limit integer := least(p_limit, 1000);
  v_table regclass;
  v_more text[];
  v_found text[] := '{}';
  v_last text;
BEGIN
  PERFORM set_config('codespar.maintenance', 'on', true);
  FOREACH v_table IN ARRAY ARRAY['codespar.audit_heads', 'codespar.api_keys', 'codespar.audit_anchors', 'codespar.audit_checkpoints', 'codespar.audit_keys',
    'public.agent_memory', 'public.agent_states', 'public.channel_configs', 'public.project_configs', 'public.projects', 'public.slack_installations',
    'public.subscribers']::regclass[]
  LOOP
    EXECUTE format('WITH RECURSIVE o(org_id) AS (
        (SELECT t.org_id FROM %1$s AS t WHERE t.org_id > $1 ORDER BY t.org_id LIMIT 1)
        UNION ALL SELECT (SELECT t.org_id FROM %1$s AS t WHERE t.org_id > o.org_id ORDER BY t.org_id LIMIT 1) FROM o
          WHERE o.org_id IS NOT NULL AND (o.org_id < $2 OR $2 IS NULL)
      ) SELECT ARRAY(SELECT o.org_id FROM o WHERE o.org_id IS NOT NULL LIMIT $3)', v_table)
      INTO v_more USING coalesce(p_after, ''), v_last, v_limit;
    v_found := ARRAY(SELECT DISTINCT f.org_id COLLATE "C" FROM unnest(v_found || v_more) AS f(org_id) ORDER BY 1 LIMIT v_limit);
    v_last := v_found[v_limit];
  END LOOP;
  PERFORM set_config('codespar.maintenance', '', true);
  RETURN QUERY SELECT f.org_id FROM unnest(v_found) WITH ORDINALITY AS f(org_id, n) ORDER BY f.n;
END $$;--> statement-breakpoint

-- How many records each key has sealed, by table, in all organisations. It looks at all of them, at the beginning of each only; in the order in which
-- they lie, whatever the session says of scans: no index would help.
CREATE FUNCTION codespar.sealed_counts() RETURNS TABLE (sealed_table text, key_id text, records bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = on AS $$
BEGIN
  PERFORM set_config('codespar.maintenance', 'on', true);
  RETURN QUERY
    SELECT 'audit_keys', split_part(substr(k.seed, 1, 64), '.', 2), count(*) FROM codespar.audit_keys AS k WHERE k.seed IS NOT NULL GROUP BY 2
    UNION ALL SELECT 'channel_configs', split_part(substr(c.credentials, 1, 64), '.', 2), count(*) FROM public.channel_configs AS c GROUP BY 2
    UNION ALL SELECT 'slack_installations', split_part(substr(s.tokens, 1, 64), '.', 2), count(*) FROM public.slack_installations AS s GROUP BY 2;
  PERFORM set_config('codespar.maintenance', '', true);
END $$;--> statement-breakpoint

-- Who owns and may call them, as 0002 has it for the rest.
DO $$
DECLARE
  v_function regprocedure;
BEGIN
  FOREACH v_function IN ARRAY ARRAY['codespar.organisations(text, integer)', 'codespar.sealed_counts()']::regprocedure[] LOOP
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', v_function);
    IF (SELECT pg_get_userbyid(c.relowner) = 'codespar_owner' FROM pg_class AS c WHERE c.oid = 'codespar.audit_heads'::regclass) THEN
      EXECUTE format('ALTER FUNCTION %s OWNER TO codespar_owner', v_function);
      EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO codespar_app', v_function);
    END IF;
  END LOOP;
END $$;
