-- Modify "sessions" table
ALTER TABLE "sessions" ADD COLUMN "identity_id" uuid NULL;
-- Create index "session_org_id_identity_id" to table: "sessions"
CREATE INDEX "session_org_id_identity_id" ON "sessions" ("org_id", "identity_id");

-- A session outlives as whom a provider knew its user, if the provider goes; unbinding ends it first.
ALTER TABLE sessions ADD CONSTRAINT sessions_identity_fk
  FOREIGN KEY (org_id, identity_id) REFERENCES identities (org_id, id) ON DELETE SET NULL (identity_id);
