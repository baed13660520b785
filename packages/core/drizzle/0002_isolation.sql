-- Who owns the tables and who may use them. Where the migrating user can make roles: codespar_owner (tables, definer functions; nobody logs in
-- as it), codespar_app (data statements run as it, whoever logged in) and codespar_maintenance (erases, and nothing else). Where it can't, it
-- owns the tables itself, row-level security forced on it, and lets go of what would change the trail. Both are superuser's and BYPASSRLS's to
-- pass by, and nobody else's.
DO $$
DECLARE
  v_roles boolean;
  v_role text;
  v_owner text := current_user;
  v_app text := current_user;
  v_object record;
BEGIN
  BEGIN
    FOREACH v_role IN ARRAY ARRAY['codespar_owner', 'codespar_app', 'codespar_maintenance'] LOOP
      -- Roles belong to the whole cluster: another database may be making them at this moment.
      FOR attempt IN 1 .. 50 LOOP
        BEGIN
          IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = v_role) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', v_role);
          END IF;
          IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
              AND NOT pg_has_role(current_user, v_role, CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END) THEN
            EXECUTE format('GRANT %I TO CURRENT_USER', v_role);
          END IF;
          EXIT;
        EXCEPTION WHEN duplicate_object OR unique_violation OR internal_error THEN
          IF attempt = 50 THEN RAISE; END IF;
          PERFORM pg_sleep(0.02);
        END;
      END LOOP;
    END LOOP;
    GRANT CREATE, USAGE ON SCHEMA public, codespar TO codespar_owner;
    v_roles := has_schema_privilege('codespar_owner', 'public', 'CREATE') AND has_schema_privilege('codespar_owner', 'codespar', 'CREATE');
  EXCEPTION WHEN insufficient_privilege THEN
    v_roles := false;
  END;

  IF v_roles THEN
    IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname IN ('codespar_owner', 'codespar_app', 'codespar_maintenance') AND (rolsuper OR rolbypassrls)) THEN
      RAISE EXCEPTION 'codespar_owner, codespar_app and codespar_maintenance must be NOSUPERUSER NOBYPASSRLS: ALTER ROLE them, then migrate again';
    END IF;
    v_owner := 'codespar_owner';
    v_app := 'codespar_app';
  END IF;

  FOR v_object IN
    SELECT c.oid::regclass AS name, n.nspname AS schema, c.relname AS table FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND (n.nspname = 'codespar' OR n.nspname = 'public' AND c.relname IN ('agent_memory', 'agent_states', 'audit_log',
      'channel_configs', 'project_configs', 'projects', 'slack_installations', 'subscribers'))
  LOOP
    IF v_roles THEN
      EXECUTE format('ALTER TABLE %s OWNER TO codespar_owner', v_object.name);
    END IF;
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', v_object.name);
    -- For the owner only: migrations, db:studio and pg_dump, which say so.
    EXECUTE format('CREATE POLICY %I ON %s TO %I USING (current_setting(''codespar.maintenance'', true) = ''on'') WITH CHECK (current_setting(''codespar.maintenance'', true) = ''on'')',
      v_object.table || '_maintenance', v_object.name, v_owner);
    IF v_object.schema = 'codespar' AND v_object.table IN ('audit_heads', 'audit_open_intents', 'audit_parts', 'audit_tiles') THEN
      CONTINUE WHEN NOT v_roles;
      EXECUTE format('GRANT SELECT ON %s TO %I', v_object.name, v_app);
    ELSIF v_object.table IN ('key_canary', 'slack_routes') THEN
      CONTINUE;
    ELSIF v_object.table = 'audit_log' THEN
      IF v_roles THEN
        GRANT SELECT ON public.audit_log TO codespar_app;
      ELSE
        EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON public.audit_log FROM %I', v_owner);
      END IF;
    ELSIF v_object.table = 'audit_checkpoints' THEN
      -- An upsert asks for UPDATE, and the triggers refuse every one.
      CONTINUE WHEN NOT v_roles;
      GRANT SELECT, INSERT, UPDATE ON codespar.audit_checkpoints TO codespar_app;
    ELSIF v_roles THEN
      EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO codespar_app', v_object.name);
    END IF;
  END LOOP;

  FOR v_object IN
    SELECT p.oid::regprocedure AS name, p.prosecdef FROM pg_proc AS p WHERE p.pronamespace = 'codespar'::regnamespace
  LOOP
    IF v_roles THEN
      EXECUTE format('ALTER FUNCTION %s OWNER TO codespar_owner', v_object.name);
    END IF;
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', v_object.name);
    IF v_roles THEN
      EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO codespar_app', v_object.name);
    END IF;
  END LOOP;
  IF v_roles THEN
    GRANT USAGE ON SCHEMA public, codespar TO codespar_app;
    REVOKE EXECUTE ON FUNCTION codespar.audit_lock(text, text), codespar.audit_grow(text, integer, bigint, bigint),
      codespar.audit_note_intents(text, bigint, bigint), codespar.refuse_change(),
      codespar.audit_erase(text, bigint[], text[]), codespar.erase_some(text, regclass, text[], integer),
      codespar.erase_rows(text, text, text[], integer), codespar.erase_head(text) FROM codespar_app;
    GRANT USAGE ON SCHEMA codespar TO codespar_maintenance;
    GRANT EXECUTE ON FUNCTION codespar.audit_erase(text, bigint[], text[]), codespar.erase_rows(text, text, text[], integer),
      codespar.erase_head(text) TO codespar_maintenance;
  END IF;
END $$;
