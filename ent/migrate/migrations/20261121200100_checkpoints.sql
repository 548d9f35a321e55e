-- Create index "event_org_id_actor_id_seq" to table: "events"
CREATE INDEX "event_org_id_actor_id_seq" ON "events" ("org_id", "actor_id", "seq");
-- Create index "event_org_id_outcome_seq" to table: "events"
CREATE INDEX "event_org_id_outcome_seq" ON "events" ("org_id", "outcome", "seq") WHERE (outcome IS NOT NULL);
-- Create index "event_org_id_severity_seq" to table: "events"
CREATE INDEX "event_org_id_severity_seq" ON "events" ("org_id", "severity", "seq") WHERE ((severity)::text <> 'INFO'::text);
-- Create "checkpoints" table
CREATE TABLE "checkpoints" ("id" uuid NOT NULL, "org_id" uuid NOT NULL, "size" bigint NOT NULL, "note" text NOT NULL, "signed_at" timestamptz NOT NULL, PRIMARY KEY ("id"));
-- Create index "checkpoint_org_id_id" to table: "checkpoints"
CREATE UNIQUE INDEX "checkpoint_org_id_id" ON "checkpoints" ("org_id", "id");
-- Create index "checkpoint_org_id_size" to table: "checkpoints"
CREATE UNIQUE INDEX "checkpoint_org_id_size" ON "checkpoints" ("org_id", "size");
-- Create "log_tiles" table
CREATE TABLE "log_tiles" ("id" uuid NOT NULL, "org_id" uuid NOT NULL, "level" bigint NOT NULL, "position" bigint NOT NULL, "hashes" bytea NOT NULL, PRIMARY KEY ("id"));
-- Create index "logtile_org_id_id" to table: "log_tiles"
CREATE UNIQUE INDEX "logtile_org_id_id" ON "log_tiles" ("org_id", "id");
-- Create index "logtile_org_id_level_position" to table: "log_tiles"
CREATE UNIQUE INDEX "logtile_org_id_level_position" ON "log_tiles" ("org_id", "level", "position");

ALTER TABLE checkpoints ADD CONSTRAINT checkpoints_org_fk
  FOREIGN KEY (org_id) REFERENCES organizations (id);
ALTER TABLE log_tiles ADD CONSTRAINT log_tiles_org_fk
  FOREIGN KEY (org_id) REFERENCES organizations (id),
  ADD CONSTRAINT log_tiles_hashes_check CHECK (octet_length(hashes) % 32 = 0);

-- What was signed stays, and so does what proofs are made of. A superuser can take these triggers away:
-- then whoever kept an earlier checkpoint finds out (docs/audit-log.md).
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% never change', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE FUNCTION refuse_rewriting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF substr(NEW.hashes, 1, octet_length(OLD.hashes)) IS DISTINCT FROM OLD.hashes
    OR (NEW.id, NEW.org_id, NEW.level, NEW.position)
      IS DISTINCT FROM (OLD.id, OLD.org_id, OLD.level, OLD.position)
  THEN
    RAISE EXCEPTION 'log_tiles only grow' USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER checkpoints_stay BEFORE UPDATE OR DELETE ON checkpoints
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER checkpoints_stay_all BEFORE TRUNCATE ON checkpoints
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER log_tiles_stay BEFORE DELETE ON log_tiles
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER log_tiles_stay_all BEFORE TRUNCATE ON log_tiles
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER log_tiles_grow BEFORE UPDATE ON log_tiles
  FOR EACH ROW EXECUTE FUNCTION refuse_rewriting();

SELECT wall('checkpoints'), wall('log_tiles');
