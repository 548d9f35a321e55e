-- Create index "command_written" to table: "commands"
CREATE INDEX "command_written" ON "commands" ("org_id", "requester_user_id") WHERE ((note IS NOT NULL) OR (client_context IS NOT NULL) OR (idempotency_key IS NOT NULL));
-- Modify "organizations" table
ALTER TABLE "organizations" ADD COLUMN "access_retention_days" bigint NOT NULL DEFAULT 90, ADD COLUMN "admin_retention_days" bigint NOT NULL DEFAULT 365;

ALTER TABLE organizations ADD CONSTRAINT organizations_retention
  CHECK (access_retention_days BETWEEN 7 AND 3650 AND admin_retention_days BETWEEN 7 AND 3650);

-- drop_empty_month drops the oldest partition of the journal that ends before an instant and has nothing
-- left in it, and says whether there was one. It waits two seconds at most for those who read.
CREATE FUNCTION drop_empty_month(before timestamptz) RETURNS boolean LANGUAGE plpgsql
SET lock_timeout = '2s' AS $$
DECLARE
  month regclass;
  filled boolean;
BEGIN
  FOR month IN
    SELECT c.oid FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'events'::regclass
      AND substring(pg_get_expr(c.relpartbound, c.oid) FROM $re$TO \('([0-9a-f-]+)'\)$re$)::uuid
        <= least_uuid(before)
    ORDER BY pg_get_expr(c.relpartbound, c.oid)
  LOOP
    EXECUTE format('SELECT EXISTS (SELECT FROM %s)', month) INTO filled;
    CONTINUE WHEN filled;
    EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', month);
    EXECUTE format('SELECT EXISTS (SELECT FROM %s)', month) INTO filled;
    CONTINUE WHEN filled;
    EXECUTE format('DROP TABLE %s', month);
    RETURN true;
  END LOOP;
  RETURN false;
END $$;
