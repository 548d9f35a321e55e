-- Create index "user_email" to table: "users"
CREATE INDEX "user_email" ON "users" ("email");
-- Create "sessions" table
CREATE TABLE "sessions" ("id" uuid NOT NULL, "org_id" uuid NOT NULL, "user_id" uuid NOT NULL, "hash" bytea NOT NULL, "method" character varying NOT NULL, "created_at" timestamptz NOT NULL, "last_seen_at" timestamptz NOT NULL, "expires_at" timestamptz NOT NULL, "ended_at" timestamptz NULL, "address" character varying NOT NULL, "user_agent" character varying NOT NULL, PRIMARY KEY ("id"));
-- Create index "session_hash" to table: "sessions"
CREATE INDEX "session_hash" ON "sessions" ("hash");
-- Create index "session_org_id_id" to table: "sessions"
CREATE UNIQUE INDEX "session_org_id_id" ON "sessions" ("org_id", "id");
-- Create index "session_org_id_user_id_id" to table: "sessions"
CREATE INDEX "session_org_id_user_id_id" ON "sessions" ("org_id", "user_id", "id");
-- Create "sign_in_attempts" table
CREATE TABLE "sign_in_attempts" ("id" uuid NOT NULL, "at" timestamptz NOT NULL, "account" bytea NOT NULL, "network" character varying NOT NULL, "code" uuid NOT NULL, PRIMARY KEY ("id"));
-- Create index "signinattempt_account_at" to table: "sign_in_attempts"
CREATE INDEX "signinattempt_account_at" ON "sign_in_attempts" ("account", "at");
-- Create index "signinattempt_at" to table: "sign_in_attempts"
CREATE INDEX "signinattempt_at" ON "sign_in_attempts" ("at");
-- Create index "signinattempt_code" to table: "sign_in_attempts"
CREATE INDEX "signinattempt_code" ON "sign_in_attempts" ("code");
-- Create index "signinattempt_network_at" to table: "sign_in_attempts"
CREATE INDEX "signinattempt_network_at" ON "sign_in_attempts" ("network", "at");
-- Create "sign_in_codes" table
CREATE TABLE "sign_in_codes" ("id" uuid NOT NULL, "nonce_hash" bytea NOT NULL, "code_hash" bytea NOT NULL, "email" bytea NOT NULL, "created_at" timestamptz NOT NULL, "expires_at" timestamptz NOT NULL, "tries" bigint NOT NULL DEFAULT 0, "failures" bigint NOT NULL DEFAULT 0, "told" bigint NOT NULL DEFAULT 0, "verified_at" timestamptz NULL, "used_at" timestamptz NULL, PRIMARY KEY ("id"));
-- Create index "signincode_expires_at" to table: "sign_in_codes"
CREATE INDEX "signincode_expires_at" ON "sign_in_codes" ("expires_at");
-- Create index "signincode_nonce_hash" to table: "sign_in_codes"
CREATE INDEX "signincode_nonce_hash" ON "sign_in_codes" ("nonce_hash");

-- A session is of a user of its organization, and goes with them.
ALTER TABLE sessions ADD CONSTRAINT sessions_user_fk
  FOREIGN KEY (org_id, user_id) REFERENCES users (org_id, id) ON DELETE CASCADE;
