-- Sessions that end at once, an audit log that only grows, and owners of idempotency keys.

-- Every access token carries the epoch of its user. What ends all sessions of a user raises it.
ALTER TABLE users ADD COLUMN session_epoch integer NOT NULL DEFAULT 0;

ALTER TABLE refresh_tokens
    -- when the session began; no token of its family outlives it by more than 30 days
    ADD COLUMN started_at timestamptz NOT NULL DEFAULT now(),
    -- derives the successor from the used token, so that a lost answer can be repeated; of the last used token only
    ADD COLUMN successor_key bytea;

-- Attempts are counted by account and address together, by address, and by account. `account` is the digest of the
-- account that a row is about; an address from which that account has logged in is known by `succeeded_at`.
ALTER TABLE login_failures
    ADD COLUMN account bytea,
    ADD COLUMN succeeded_at timestamptz;
CREATE INDEX login_failures_account ON login_failures (account) WHERE account IS NOT NULL;

-- The answer of a request belongs to a user; the previous release wrote that user into the route.
ALTER TABLE idempotency_keys ADD COLUMN owner text;
UPDATE idempotency_keys SET owner = substring(route FROM '^POST /cart/(?:items|checkout) (.*)$')
WHERE starts_with(route, 'POST /cart/');
CREATE INDEX idempotency_keys_owner ON idempotency_keys (owner) WHERE owner IS NOT NULL;

-- Staff and customers are named by their rows, other actors ('admin-token', 'command-line') and subjects by text: an id
-- that a client chose can therefore never be an actor's. An erased user's number names nobody, so erasure need not
-- change the log.
ALTER TABLE audit_log
    ADD COLUMN actor_user_id bigint,
    ADD COLUMN subject_user_id bigint;
UPDATE audit_log a SET actor = 'user', actor_user_id = coalesce((SELECT id FROM users WHERE external_id = a.actor), 0)
WHERE starts_with(actor, 'acct_');
UPDATE audit_log a SET subject = 'user',
    subject_user_id = coalesce((SELECT id FROM users WHERE external_id = substr(a.subject, 6)), 0)
WHERE starts_with(subject, 'user:');
CREATE INDEX audit_log_of_user ON audit_log (subject_user_id, at) WHERE subject_user_id IS NOT NULL;

-- 0 is no row's id: the user was gone when the entry was written.
CREATE FUNCTION name_audited_users() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF starts_with(NEW.actor, 'acct_') THEN
        NEW.actor_user_id := coalesce((SELECT id FROM users WHERE external_id = NEW.actor), 0);
        NEW.actor := 'user';
    END IF;
    IF starts_with(NEW.subject, 'user:') THEN
        NEW.subject_user_id := coalesce((SELECT id FROM users WHERE external_id = substr(NEW.subject, 6)), 0);
        NEW.subject := 'user';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER audit_log_names_users BEFORE INSERT ON audit_log FOR EACH ROW EXECUTE FUNCTION name_audited_users();

-- Only log-ins and failed log-ins may be deleted, and only when they are 13 months old: they are personal data.
CREATE FUNCTION keep_audit_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND OLD.action IN ('login', 'login.failure') AND OLD.at < now() - interval '13 months' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'audit_log is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER audit_log_is_kept BEFORE UPDATE OR DELETE ON audit_log FOR EACH ROW EXECUTE FUNCTION keep_audit_log();
CREATE TRIGGER audit_log_is_not_emptied BEFORE TRUNCATE ON audit_log FOR EACH STATEMENT EXECUTE FUNCTION keep_audit_log();

-- Jobs act as `aisle_jobs`, which owns no table. These functions act as the owner of the schema and do no more than
-- jobs need (shared/storage/schema/database_roles.py says who may call them).
ALTER FUNCTION ensure_event_partitions(date, date) SECURITY DEFINER SET search_path = public, pg_temp;

CREATE FUNCTION drop_event_partition(partition text) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF partition !~ '^events_\d{4}_\d{2}$'
       OR (to_date(right(partition, 7), 'YYYY_MM') + interval '1 month') AT TIME ZONE 'UTC' > now() - interval '1 month'
    THEN
        RAISE EXCEPTION '% is no partition of events older than a month', partition
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    EXECUTE format('DROP TABLE IF EXISTS public.%I', partition);
END $$;

CREATE FUNCTION create_similarity_partition(version integer) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    EXECUTE format('CREATE TABLE public.%I (LIKE public.item_similarity INCLUDING ALL)', 'item_similarity_' || version);
END $$;

-- With the constraint ATTACH need not scan the partition.
CREATE FUNCTION attach_similarity_partition(version integer) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    partition text := 'item_similarity_' || version;
BEGIN
    EXECUTE format('ALTER TABLE public.%I ADD CONSTRAINT of_version CHECK (version = %s)', partition, version);
    EXECUTE format('ALTER TABLE public.item_similarity ATTACH PARTITION public.%I FOR VALUES IN (%s)', partition, version);
END $$;

CREATE FUNCTION drop_similarity_partition(dropped integer) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM public.models m WHERE m.version = dropped AND m.active) THEN
        RAISE EXCEPTION 'model % is active', dropped USING ERRCODE = 'insufficient_privilege';
    END IF;
    EXECUTE format('DROP TABLE IF EXISTS public.%I', 'item_similarity_' || dropped);
END $$;

REVOKE EXECUTE ON FUNCTION ensure_event_partitions(date, date), drop_event_partition(text),
    create_similarity_partition(integer), attach_similarity_partition(integer), drop_similarity_partition(integer)
FROM PUBLIC;
