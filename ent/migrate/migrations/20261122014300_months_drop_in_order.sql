-- A partition is dropped under a lock of the whole journal, and whoever reads the journal locks it before
-- its partitions. drop_empty_month locked them the other way round, so that a reader and it could wait for
-- each other. While it waits others wait behind it: not for long, as the next round tries again.
CREATE OR REPLACE FUNCTION drop_empty_month(before timestamptz) RETURNS boolean LANGUAGE plpgsql
SET lock_timeout = '200ms' AS $$
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
    LOCK TABLE ONLY events IN ACCESS EXCLUSIVE MODE;
    EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', month);
    EXECUTE format('SELECT EXISTS (SELECT FROM %s)', month) INTO filled;
    CONTINUE WHEN filled;
    EXECUTE format('DROP TABLE %s', month);
    RETURN true;
  END LOOP;
  RETURN false;
END $$;
