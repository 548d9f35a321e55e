-- The journal by months: what is past every organization's retention goes with its table, at once.
--
-- The identifier of an event is a UUIDv7, so its first 48 bits are when it was recorded, and it alone is
-- the key: of the table, and of what partitions it. That a number is there once in an organization is no
-- index's to hold over months: each month has its own, and between them stands the lock on the journal's
-- head, which alone gives numbers (docs/adr/0028).

-- least_uuid is the least UUIDv7 of an instant.
CREATE FUNCTION least_uuid(at timestamptz) RETURNS uuid LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $$
  SELECT (lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

-- What is there becomes the first partition, as it is, up to the end of its last month: nothing is copied.
ALTER TABLE events RENAME TO events_before;
ALTER INDEX events_pkey RENAME TO events_before_pkey;
ALTER INDEX event_org_id_id RENAME TO events_before_org_id_id;
ALTER INDEX event_org_id_seq RENAME TO events_before_org_id_seq;
ALTER INDEX event_org_id_door_id_seq RENAME TO events_before_org_id_door_id_seq;
ALTER INDEX event_org_id_site_id_seq RENAME TO events_before_org_id_site_id_seq;
ALTER INDEX event_org_id_user_id_seq RENAME TO events_before_org_id_user_id_seq;
ALTER INDEX event_org_id_type_seq RENAME TO events_before_org_id_type_seq;
ALTER INDEX event_org_id_actor_id_seq RENAME TO events_before_org_id_actor_id_seq;
ALTER INDEX event_org_id_outcome_seq RENAME TO events_before_org_id_outcome_seq;
ALTER INDEX event_org_id_severity_seq RENAME TO events_before_org_id_severity_seq;
ALTER INDEX event_org_id_occurred_at RENAME TO events_before_org_id_occurred_at;

CREATE TABLE events (LIKE events_before INCLUDING DEFAULTS INCLUDING CONSTRAINTS, PRIMARY KEY (id),
  CONSTRAINT events_org_fk FOREIGN KEY (org_id) REFERENCES organizations (id)) PARTITION BY RANGE (id);
CREATE UNIQUE INDEX event_org_id_id ON events (org_id, id);
CREATE INDEX event_org_id_door_id_seq ON events (org_id, door_id, seq);
CREATE INDEX event_org_id_site_id_seq ON events (org_id, site_id, seq);
CREATE INDEX event_org_id_user_id_seq ON events (org_id, user_id, seq);
CREATE INDEX event_org_id_type_seq ON events (org_id, type, seq);
CREATE INDEX event_org_id_actor_id_seq ON events (org_id, actor_id, seq);
CREATE INDEX event_org_id_outcome_seq ON events (org_id, outcome, seq) WHERE outcome IS NOT NULL;
CREATE INDEX event_org_id_severity_seq ON events (org_id, severity, seq) WHERE severity <> 'INFO';
CREATE INDEX event_org_id_occurred_at ON events (org_id, occurred_at);
SELECT wall('events');

DO $$
DECLARE
  newest timestamptz := to_timestamp(('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint / 1000.0)
    FROM events_before ORDER BY id DESC LIMIT 1;
  until timestamptz := date_trunc('month', greatest(now(), newest), 'UTC') + interval '1 month';
BEGIN
  EXECUTE format('ALTER TABLE events ATTACH PARTITION events_before FOR VALUES FROM (MINVALUE) TO (%L)',
    least_uuid(until));
END $$;

-- What belongs to no month that is there, because nobody has made it, is kept here, and moved when it
-- is made.
CREATE TABLE events_unplaced PARTITION OF events DEFAULT;
CREATE UNIQUE INDEX events_unplaced_org_id_seq ON events_unplaced (org_id, seq);
SELECT wall('events_unplaced');

-- make_month makes the partition of a month, if none covers it yet, and says whether it did. It waits
-- two seconds at most for those who read.
CREATE FUNCTION make_month(month date) RETURNS boolean LANGUAGE plpgsql SET lock_timeout = '2s' AS $$
DECLARE
  made text := 'events_' || to_char(month, 'YYYY_MM');
  first uuid := least_uuid(month::timestamp AT TIME ZONE 'UTC');
  next uuid := least_uuid((month + interval '1 month') AT TIME ZONE 'UTC');
BEGIN
  IF EXISTS (
    SELECT FROM (SELECT pg_get_expr(c.relpartbound, c.oid) AS span FROM pg_inherits i
      JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'events'::regclass) AS bound
    WHERE substring(span FROM $re$TO \('([0-9a-f-]+)'\)$re$)::uuid > first
      AND (span LIKE '%FROM (MINVALUE)%' OR substring(span FROM $re$FROM \('([0-9a-f-]+)'\)$re$)::uuid <= first)
  ) THEN
    RETURN false;
  END IF;
  EXECUTE format('CREATE TABLE %I (LIKE events INCLUDING ALL)', made);
  EXECUTE format('CREATE UNIQUE INDEX %I ON %I (org_id, seq)', made || '_org_id_seq', made);
  PERFORM wall(made::regclass);
  LOCK TABLE events_unplaced IN ACCESS EXCLUSIVE MODE;
  EXECUTE format('WITH moved AS (DELETE FROM events_unplaced WHERE id >= %L AND id < %L RETURNING *)
    INSERT INTO %I SELECT * FROM moved', first, next, made);
  EXECUTE format('ALTER TABLE events ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', made, first, next);
  RETURN true;
END $$;

SELECT make_month((date_trunc('month', now(), 'UTC') + n * interval '1 month')::date)
FROM generate_series(1, 2) n;
