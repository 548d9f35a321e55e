-- Create "passkeys" table
CREATE TABLE "passkeys" ("id" uuid NOT NULL, "org_id" uuid NOT NULL, "user_id" uuid NOT NULL, "name" character varying NOT NULL, "credential_id" bytea NOT NULL, "public_key" bytea NOT NULL, "aaguid" bytea NOT NULL, "sign_count" bigint NOT NULL, "backup_eligible" boolean NOT NULL, "backed_up" boolean NOT NULL, "created_at" timestamptz NOT NULL, "last_used_at" timestamptz NULL, PRIMARY KEY ("id"));
-- Create index "passkey_credential_id" to table: "passkeys"
CREATE UNIQUE INDEX "passkey_credential_id" ON "passkeys" ("credential_id");
-- Create index "passkey_org_id_id" to table: "passkeys"
CREATE UNIQUE INDEX "passkey_org_id_id" ON "passkeys" ("org_id", "id");
-- Create index "passkey_org_id_user_id_id" to table: "passkeys"
CREATE INDEX "passkey_org_id_user_id_id" ON "passkeys" ("org_id", "user_id", "id");
-- Create "passkey_challenges" table
CREATE TABLE "passkey_challenges" ("id" uuid NOT NULL, "nonce_hash" bytea NOT NULL, "challenge" character varying NOT NULL, "adds_for" uuid NULL, "expires_at" timestamptz NOT NULL, PRIMARY KEY ("id"));
-- Create index "passkeychallenge_expires_at" to table: "passkey_challenges"
CREATE INDEX "passkeychallenge_expires_at" ON "passkey_challenges" ("expires_at");
-- Create index "passkeychallenge_nonce_hash" to table: "passkey_challenges"
CREATE INDEX "passkeychallenge_nonce_hash" ON "passkey_challenges" ("nonce_hash");

-- A passkey is of a user of its organization, and goes with them.
ALTER TABLE passkeys ADD CONSTRAINT passkeys_user_fk
  FOREIGN KEY (org_id, user_id) REFERENCES users (org_id, id) ON DELETE CASCADE;
