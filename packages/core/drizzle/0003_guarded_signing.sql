-- What signs a trail is kept from whoever has no more than the application's role: it can't remove or spoil a key, put a checkpoint in the way
-- that contradicts the trail, or say that one was taken that isn't there. It can still store a checkpoint that nobody signed, of the tree as it
-- is: signing passes that over, and verification reports it.

-- The root of RFC 6962 over the first entries, from the tiles that are stored; NULL where some are missing, which is damage.
CREATE FUNCTION codespar.audit_root(p_org text, p_size bigint) RETURNS bytea
LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_root bytea;
  v_node bytea;
  v_hashes bytea;
  v_level integer := 0;
  v_end bigint := p_size;
  v_count integer;
BEGIN
  WHILE v_end > 0 LOOP
    -- The hashes of this level that no tile above holds.
    v_count := (v_end & 255)::integer;
    IF v_level = 0 THEN
      SELECT string_agg(h.hash, ''::bytea) INTO v_hashes FROM (
        SELECT a.hash FROM public.audit_log AS a WHERE a.org_id = p_org AND a.seq >= v_end - v_count AND a.seq < v_end ORDER BY a.seq
      ) AS h;
    ELSE
      SELECT string_agg(h.root, ''::bytea) INTO v_hashes FROM (
        SELECT t.root FROM codespar.audit_tiles AS t
        WHERE t.org_id = p_org AND t.level = v_level - 1 AND t.index >= v_end - v_count AND t.index < v_end ORDER BY t.index
      ) AS h;
    END IF;
    IF coalesce(octet_length(v_hashes), 0) <> 32 * v_count THEN
      RETURN NULL;
    END IF;
    -- They make complete subtrees, the largest first: from the right, each is the left half of what is known so far.
    FOR v_bit IN 0 .. 7 LOOP
      CONTINUE WHEN v_count & (1 << v_bit) = 0;
      v_node := codespar.audit_tile_root(substr(v_hashes, 32 * ((v_count >> (v_bit + 1)) << (v_bit + 1)) + 1, 32 << v_bit));
      v_root := CASE WHEN v_root IS NULL THEN v_node ELSE sha256('\x01'::bytea || v_node || v_root) END;
    END LOOP;
    v_level := v_level + 1;
    v_end := v_end >> 8;
  END LOOP;
  RETURN v_root;
END $$;--> statement-breakpoint

-- A number from its bytes, the lowest first.
CREATE FUNCTION codespar.number_of(p_bytes bytea) RETURNS numeric
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_number numeric := 0;
BEGIN
  FOR i IN REVERSE octet_length(p_bytes) - 1 .. 0 LOOP
    v_number := v_number * 256 + get_byte(p_bytes, i);
  END LOOP;
  RETURN v_number;
END $$;--> statement-breakpoint

-- A power modulo 2^255 - 19, the prime of Ed25519.
CREATE FUNCTION codespar.power_25519(p_base numeric, p_exponent numeric) RETURNS numeric
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  p CONSTANT numeric := 57896044618658097711785492504343953926634992332820282019728792003956564819949;
  v_power numeric := 1;
  v_square numeric := mod(p_base, p);
  v_rest numeric := p_exponent;
BEGIN
  WHILE v_rest > 0 LOOP
    IF mod(v_rest, 2) = 1 THEN
      v_power := mod(v_power * v_square, p);
    END IF;
    v_square := mod(v_square * v_square, p);
    v_rest := div(v_rest, 2);
  END LOOP;
  RETURN v_power;
END $$;--> statement-breakpoint

-- A point of Ed25519 from its 32 bytes, as X, Y, Z, T; NULL for what is none.
CREATE FUNCTION codespar.point_25519(p_bytes bytea) RETURNS numeric[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  p CONSTANT numeric := 57896044618658097711785492504343953926634992332820282019728792003956564819949;
  d CONSTANT numeric := 37095705934669439343138083508754565189542113879843219016388785533085940283555;
  root CONSTANT numeric := 19681161376707505956807079304988542015446066515923890162744021073123829784752;
  v_sign integer := get_byte(p_bytes, 31) >> 7;
  y numeric := codespar.number_of(set_byte(p_bytes, 31, get_byte(p_bytes, 31) & 127));
  xx numeric;
  x numeric;
BEGIN
  IF y >= p THEN
    RETURN NULL;
  END IF;
  xx := mod((y * y + p - 1) * codespar.power_25519(d * y * y + 1, p - 2), p);
  x := codespar.power_25519(xx, div(p + 3, 8));
  IF mod(x * x, p) <> xx THEN
    x := mod(x * root, p);
  END IF;
  IF mod(x * x, p) <> xx OR x = 0 AND v_sign = 1 THEN
    RETURN NULL;
  END IF;
  IF mod(x, 2) <> v_sign THEN
    x := p - x;
  END IF;
  RETURN ARRAY[x, y, 1, mod(x * y, p)];
END $$;--> statement-breakpoint

-- The sum of two points.
CREATE FUNCTION codespar.sum_25519(a numeric[], b numeric[]) RETURNS numeric[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  p CONSTANT numeric := 57896044618658097711785492504343953926634992332820282019728792003956564819949;
  dd CONSTANT numeric := 16295367250680780974490674513165176452449235426866156013048779062215315747161;
  v_a numeric := mod((a[2] - a[1] + p) * (b[2] - b[1] + p), p);
  v_b numeric := mod((a[2] + a[1]) * (b[2] + b[1]), p);
  v_c numeric := mod(mod(a[4] * b[4], p) * dd, p);
  v_d numeric := mod(2 * a[3] * b[3], p);
  e numeric := v_b - v_a + p;
  f numeric := v_d - v_c + p;
  g numeric := v_d + v_c;
  h numeric := v_b + v_a;
BEGIN
  RETURN ARRAY[mod(e * f, p), mod(g * h, p), mod(f * g, p), mod(e * h, p)];
END $$;--> statement-breakpoint

-- Whether an Ed25519 signature (RFC 8032) is one of the message by the key. It takes tens of milliseconds: for what happens rarely.
CREATE FUNCTION codespar.verify_25519(p_key bytea, p_message bytea, p_signature bytea) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  p CONSTANT numeric := 57896044618658097711785492504343953926634992332820282019728792003956564819949;
  l CONSTANT numeric := 7237005577332262213973186563042994240857116359379907606001950938285454250989;
  v_base CONSTANT numeric[] := codespar.point_25519(decode('58' || repeat('66', 31), 'hex'));
  r numeric[];
  a numeric[];
  v_both numeric[];
  v_sum numeric[] := ARRAY[0, 1, 1, 0];
  s numeric;
  h numeric;
  v_bits integer[] := '{}';
BEGIN
  IF octet_length(p_key) <> 32 OR octet_length(p_signature) <> 64 THEN
    RETURN false;
  END IF;
  r := codespar.point_25519(substr(p_signature, 1, 32));
  a := codespar.point_25519(p_key);
  s := codespar.number_of(substr(p_signature, 33));
  IF r IS NULL OR a IS NULL OR s >= l THEN
    RETURN false;
  END IF;
  h := mod(codespar.number_of(sha512(substr(p_signature, 1, 32) || p_key || p_message)), l);
  -- It holds when s times the base, less h times the key, is r: both products bit by bit at once.
  a := ARRAY[p - a[1], a[2], a[3], p - a[4]];
  v_both := codespar.sum_25519(v_base, a);
  WHILE s > 0 OR h > 0 LOOP
    v_bits := v_bits || (mod(s, 2) + 2 * mod(h, 2))::integer;
    s := div(s, 2);
    h := div(h, 2);
  END LOOP;
  FOR i IN REVERSE cardinality(v_bits) .. 1 LOOP
    v_sum := codespar.sum_25519(v_sum, v_sum);
    v_sum := CASE v_bits[i] WHEN 0 THEN v_sum WHEN 1 THEN codespar.sum_25519(v_sum, v_base)
      WHEN 2 THEN codespar.sum_25519(v_sum, a) ELSE codespar.sum_25519(v_sum, v_both) END;
  END LOOP;
  RETURN mod(v_sum[1] - r[1] * v_sum[3], p) = 0 AND mod(v_sum[2] - r[2] * v_sum[3], p) = 0;
END $$;--> statement-breakpoint

-- Whether a note (C2SP signed-note) is signed by a key, given as vkey.
CREATE FUNCTION codespar.is_signed(p_note text, p_vkey text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_name text := split_part(p_vkey, '+', 1);
  v_key bytea := decode(substr(p_vkey, length(v_name) + 11), 'base64');
  v_message bytea := convert_to(split_part(p_note, E'\n\n', 1) || E'\n', 'UTF8');
  v_line text;
  v_signature bytea;
BEGIN
  FOREACH v_line IN ARRAY string_to_array(split_part(p_note, E'\n\n', 2), E'\n') LOOP
    CONTINUE WHEN split_part(v_line, ' ', 2) IS DISTINCT FROM v_name;
    v_signature := decode(split_part(v_line, ' ', 3), 'base64');
    IF encode(substr(v_signature, 1, 4), 'hex') = split_part(p_vkey, '+', 2) THEN
      RETURN codespar.verify_25519(substr(v_key, 2), v_message, substr(v_signature, 5));
    END IF;
  END LOOP;
  RETURN false;
END $$;--> statement-breakpoint

-- A checkpoint is of its trail as it is stored, and newer than the one before. Who signed it isn't asked here.
CREATE FUNCTION codespar.check_checkpoint() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_log text;
  v_end bigint;
  v_version text;
  v_lines text[] := string_to_array(NEW.note, E'\n');
  v_root bytea;
BEGIN
  SELECT h.log INTO v_log FROM codespar.audit_heads AS h WHERE h.org_id = NEW.org_id;
  SELECT a.seq + 1 INTO v_end FROM public.audit_log AS a WHERE a.org_id = NEW.org_id ORDER BY a.seq DESC LIMIT 1;
  IF NEW.size !~ '^[0-9]{16}$' OR NEW.size = repeat('0', 16) OR NEW.expires_at IS NOT NULL OR v_lines[1] IS DISTINCT FROM v_log OR v_lines[2] <> NEW.size::bigint::text
      OR v_lines[4] <> '' OR cardinality(v_lines) NOT BETWEEN 6 AND 105 OR v_lines[cardinality(v_lines)] <> ''
      OR EXISTS (
        SELECT 1 FROM unnest(v_lines[5:cardinality(v_lines) - 1]) AS l(line)
        WHERE NOT starts_with(l.line, '— ' || v_log || ' ') OR substr(l.line, length(v_log) + 4) !~ '^[A-Za-z0-9+/]{90}[AEIMQUYcgkosw048]=$'
      ) THEN
    RAISE EXCEPTION 'what was to be stored as its checkpoint of % entries is none', NEW.size USING ERRCODE = 'CS005';
  ELSIF NEW.size::bigint > v_end THEN
    RAISE EXCEPTION 'a checkpoint of % entries was to be stored, and it has %', NEW.size::bigint, v_end USING ERRCODE = 'CS005';
  END IF;
  -- Rows beyond the end stood there before this was checked.
  SELECT c.version INTO v_version FROM codespar.audit_checkpoints AS c
    WHERE c.org_id = NEW.org_id AND c.size >= NEW.size AND c.size <= lpad(v_end::text, 16, '0') ORDER BY c.size LIMIT 1;
  IF FOUND THEN
    PERFORM codespar.expectation_failed(json_build_array(
      json_build_object('table', 'audit_checkpoints', 'key', json_build_array(NEW.size), 'version', v_version)));
  END IF;
  v_root := codespar.audit_root(NEW.org_id, NEW.size::bigint);
  IF v_lines[3] IS DISTINCT FROM encode(v_root, 'base64') THEN
    RAISE EXCEPTION 'its first % entries have another root than the checkpoint that was to be stored', NEW.size::bigint USING ERRCODE = 'CS005';
  END IF;
  RETURN NEW;
END $$;--> statement-breakpoint

-- Keys come one after the other, each under its trail's name; what they are called never changes. None is new and retired beside one that signs: that
-- is how a trail is taken over from elsewhere. One loses its private part only once a checkpoint
-- is signed by it and by a later one, and it is sealed anew only by whoever owns the table.
CREATE FUNCTION codespar.check_key() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_log text;
  v_note text;
BEGIN
  IF NEW.expires_at IS NOT NULL OR (NEW.seed IS NULL) <> (NEW.retired_at IS NOT NULL) THEN
    RAISE EXCEPTION 'what was to be stored of its key % is none', NEW.generation USING ERRCODE = 'CS005';
  END IF;
  IF TG_OP = 'INSERT' THEN
    SELECT h.log INTO v_log FROM codespar.audit_heads AS h WHERE h.org_id = NEW.org_id;
    IF v_log IS NULL OR NEW.seed IS NULL AND EXISTS (
          SELECT 1 FROM codespar.audit_keys AS k WHERE k.org_id = NEW.org_id AND k.generation < NEW.generation AND k.seed IS NOT NULL
        ) OR NEW.generation !~ '^[0-9]{8}$'
        -- Where a foreign key was removed a gap is left, which is imported too. No number is so high that none is left behind it.
        OR NEW.generation::integer - 1000 > (
          SELECT coalesce(max(k.generation)::integer, 0) FROM codespar.audit_keys AS k WHERE k.org_id = NEW.org_id AND k.generation < NEW.generation
        ) OR NEW.generation = '00000000'
        OR NOT starts_with(NEW.vkey, v_log || '+') OR substr(NEW.vkey, length(v_log) + 1) !~ '^\+[0-9a-f]{8}\+A[Q-Za-f][A-Za-z0-9+/]{42}$'
        OR substr(NEW.vkey, length(v_log) + 2, 8)
          <> left(encode(sha256(convert_to(v_log || E'\n', 'UTF8') || decode(substr(NEW.vkey, length(v_log) + 11), 'base64')), 'hex'), 8) THEN
      RAISE EXCEPTION 'what was to be stored as its key % is none', NEW.generation USING ERRCODE = 'CS005';
    END IF;
    RETURN NULL;
  END IF;
  IF (NEW.org_id, NEW.generation, NEW.vkey, NEW.created_at) IS DISTINCT FROM (OLD.org_id, OLD.generation, OLD.vkey, OLD.created_at) THEN
    RAISE EXCEPTION 'its key % was to become another one', OLD.generation USING ERRCODE = 'CS005';
  ELSIF NEW.seed IS NOT DISTINCT FROM OLD.seed AND NEW.retired_at IS NOT DISTINCT FROM OLD.retired_at THEN
    RETURN NULL;
  ELSIF NEW.seed IS NOT NULL THEN
    IF OLD.seed IS NULL OR NOT pg_has_role(current_user, (SELECT c.relowner FROM pg_class AS c WHERE c.oid = TG_RELID), 'MEMBER') THEN
      RAISE EXCEPTION 'its key % was to be sealed anew', OLD.generation USING ERRCODE = 'CS005';
    END IF;
    RETURN NULL;
  END IF;
  SELECT c.note INTO v_note FROM codespar.audit_checkpoints AS c
    WHERE c.org_id = NEW.org_id AND c.size <= (
      SELECT lpad((a.seq + 1)::text, 16, '0') FROM public.audit_log AS a WHERE a.org_id = NEW.org_id ORDER BY a.seq DESC LIMIT 1
    ) ORDER BY c.size DESC LIMIT 1;
  IF NOT coalesce(codespar.is_signed(v_note, OLD.vkey), false) OR NOT EXISTS (
    SELECT 1 FROM codespar.audit_keys AS k
    WHERE k.org_id = NEW.org_id AND k.generation > NEW.generation AND k.seed IS NOT NULL AND codespar.is_signed(v_note, k.vkey)
  ) THEN
    RAISE EXCEPTION 'its key % was to be retired, and no later one has taken its place', OLD.generation USING ERRCODE = 'CS005';
  END IF;
  RETURN NULL;
END $$;--> statement-breakpoint

-- An anchor has taken what is there, and what it has taken it keeps. Judged at the commit: the checkpoint may follow in the same one.
CREATE FUNCTION codespar.check_anchor() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_least text := repeat('0', 16);
BEGIN
  IF TG_OP = 'UPDATE' THEN
    v_least := CASE WHEN (NEW.org_id, NEW.anchor) = (OLD.org_id, OLD.anchor) THEN OLD.size END;
  END IF;
  IF NEW.expires_at IS NOT NULL OR NEW.size !~ '^[0-9]{16}$' OR v_least IS NULL OR NEW.size < v_least OR NEW.size > v_least AND NOT EXISTS (
    SELECT 1 FROM codespar.audit_checkpoints AS c WHERE c.org_id = NEW.org_id AND c.size = NEW.size
  ) THEN
    RAISE EXCEPTION 'its anchor % was to have taken %, which is no checkpoint of it', NEW.anchor, NEW.size USING ERRCODE = 'CS005';
  END IF;
  RETURN NULL;
END $$;--> statement-breakpoint

-- ENABLE ALWAYS: session_replication_role = replica passes ordinary triggers by.
DO $$
DECLARE
  v_table text;
BEGIN
  FOREACH v_table IN ARRAY ARRAY['audit_anchors', 'audit_keys'] LOOP
    EXECUTE format('CREATE TRIGGER append_only_rows BEFORE DELETE ON codespar.%I FOR EACH ROW EXECUTE FUNCTION codespar.refuse_change()', v_table);
    EXECUTE format('CREATE TRIGGER append_only BEFORE TRUNCATE ON codespar.%I FOR EACH STATEMENT EXECUTE FUNCTION codespar.refuse_change()', v_table);
    EXECUTE format('ALTER TABLE codespar.%I ENABLE ALWAYS TRIGGER append_only_rows', v_table);
    EXECUTE format('ALTER TABLE codespar.%I ENABLE ALWAYS TRIGGER append_only', v_table);
  END LOOP;
END $$;--> statement-breakpoint
CREATE TRIGGER checked BEFORE INSERT ON codespar.audit_checkpoints FOR EACH ROW EXECUTE FUNCTION codespar.check_checkpoint();--> statement-breakpoint
CREATE TRIGGER checked AFTER INSERT OR UPDATE ON codespar.audit_keys FOR EACH ROW EXECUTE FUNCTION codespar.check_key();--> statement-breakpoint
CREATE CONSTRAINT TRIGGER checked AFTER INSERT OR UPDATE ON codespar.audit_anchors
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION codespar.check_anchor();--> statement-breakpoint
ALTER TABLE codespar.audit_checkpoints ENABLE ALWAYS TRIGGER checked;--> statement-breakpoint
ALTER TABLE codespar.audit_keys ENABLE ALWAYS TRIGGER checked;--> statement-breakpoint
ALTER TABLE codespar.audit_anchors ENABLE ALWAYS TRIGGER checked;--> statement-breakpoint

-- Who owns and may call what is new, as 0002 has it for the rest.
DO $$
DECLARE
  v_function regprocedure;
  v_roles boolean := (SELECT pg_get_userbyid(c.relowner) = 'codespar_owner' FROM pg_class AS c WHERE c.oid = 'codespar.audit_keys'::regclass);
BEGIN
  FOR v_function IN
    SELECT p.oid FROM pg_proc AS p WHERE p.pronamespace = 'codespar'::regnamespace AND p.proname IN ('audit_root', 'number_of', 'power_25519',
      'point_25519', 'sum_25519', 'verify_25519', 'is_signed', 'check_checkpoint', 'check_key', 'check_anchor')
  LOOP
    IF v_roles THEN
      EXECUTE format('ALTER FUNCTION %s OWNER TO codespar_owner', v_function);
    END IF;
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', v_function);
    IF v_roles AND v_function NOT IN ('codespar.check_checkpoint()'::regprocedure, 'codespar.check_key()'::regprocedure,
        'codespar.check_anchor()'::regprocedure) THEN
      EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO codespar_app', v_function);
    END IF;
  END LOOP;
  IF v_roles THEN
    REVOKE DELETE ON codespar.audit_anchors, codespar.audit_keys FROM codespar_app;
  END IF;
END $$;
