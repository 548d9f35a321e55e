-- Modify "api_tokens" table
ALTER TABLE "api_tokens" ADD COLUMN "grant_id" uuid NULL, ADD COLUMN "application_id" uuid NULL;
-- Create index "apitoken_expires_at" to table: "api_tokens"
CREATE INDEX "apitoken_expires_at" ON "api_tokens" ("expires_at") WHERE (grant_id IS NOT NULL);
-- Create index "apitoken_org_id_application_id" to table: "api_tokens"
CREATE INDEX "apitoken_org_id_application_id" ON "api_tokens" ("org_id", "application_id") WHERE (application_id IS NOT NULL);
-- Create index "apitoken_org_id_grant_id" to table: "api_tokens"
CREATE INDEX "apitoken_org_id_grant_id" ON "api_tokens" ("org_id", "grant_id") WHERE (grant_id IS NOT NULL);
-- Modify "events" table
ALTER TABLE "events" ADD COLUMN "actor_application_id" uuid NULL;
-- Create "applications" table
CREATE TABLE "applications" ("id" uuid NOT NULL, "org_id" uuid NOT NULL, "created_at" timestamptz NOT NULL, "updated_at" timestamptz NOT NULL, "name" character varying NOT NULL, "type" character varying NOT NULL, "homepage_url" character varying NULL, "redirect_uris" jsonb NOT NULL, "scopes" jsonb NOT NULL, "hash" bytea NULL, "previous_hash" bytea NULL, "previous_until" timestamptz NULL, "created_by_id" uuid NULL, "disabled_at" timestamptz NULL, PRIMARY KEY ("id"));
-- Create index "application_org_id_created_by_id" to table: "applications"
CREATE INDEX "application_org_id_created_by_id" ON "applications" ("org_id", "created_by_id") WHERE (created_by_id IS NOT NULL);
-- Create index "application_org_id_id" to table: "applications"
CREATE UNIQUE INDEX "application_org_id_id" ON "applications" ("org_id", "id");
-- Create index "application_org_id_name" to table: "applications"
CREATE UNIQUE INDEX "application_org_id_name" ON "applications" ("org_id", "name");
-- Create "authorization_codes" table
CREATE TABLE "authorization_codes" ("id" uuid NOT NULL, "org_id" uuid NOT NULL, "grant_id" uuid NOT NULL, "hash" bytea NOT NULL, "redirect_uri" character varying NOT NULL, "challenge" character varying NOT NULL, "expires_at" timestamptz NOT NULL, "used_at" timestamptz NULL, PRIMARY KEY ("id"));
-- Create index "authorizationcode_expires_at" to table: "authorization_codes"
CREATE INDEX "authorizationcode_expires_at" ON "authorization_codes" ("expires_at");
-- Create index "authorizationcode_hash" to table: "authorization_codes"
CREATE INDEX "authorizationcode_hash" ON "authorization_codes" ("hash");
-- Create index "authorizationcode_org_id_grant_id" to table: "authorization_codes"
CREATE INDEX "authorizationcode_org_id_grant_id" ON "authorization_codes" ("org_id", "grant_id");
-- Create index "authorizationcode_org_id_id" to table: "authorization_codes"
CREATE UNIQUE INDEX "authorizationcode_org_id_id" ON "authorization_codes" ("org_id", "id");
-- Create "grants" table
CREATE TABLE "grants" ("id" uuid NOT NULL, "org_id" uuid NOT NULL, "user_id" uuid NOT NULL, "application_id" uuid NOT NULL, "by_itself" boolean NOT NULL DEFAULT false, "scopes" jsonb NOT NULL, "site_ids" jsonb NULL, "created_at" timestamptz NOT NULL, "expires_at" timestamptz NULL, "last_used_at" timestamptz NULL, "revoked_at" timestamptz NULL, "revoked_reason" character varying NULL, PRIMARY KEY ("id"));
-- Create index "grant_by_itself" to table: "grants"
CREATE UNIQUE INDEX "grant_by_itself" ON "grants" ("org_id", "application_id") WHERE (by_itself AND (revoked_at IS NULL));
-- Create index "grant_org_id_application_id_id" to table: "grants"
CREATE INDEX "grant_org_id_application_id_id" ON "grants" ("org_id", "application_id", "id");
-- Create index "grant_org_id_id" to table: "grants"
CREATE UNIQUE INDEX "grant_org_id_id" ON "grants" ("org_id", "id");
-- Create index "grant_org_id_user_id_id" to table: "grants"
CREATE INDEX "grant_org_id_user_id_id" ON "grants" ("org_id", "user_id", "id");
-- Create "refresh_tokens" table
CREATE TABLE "refresh_tokens" ("id" uuid NOT NULL, "org_id" uuid NOT NULL, "grant_id" uuid NOT NULL, "hash" bytea NOT NULL, "expires_at" timestamptz NOT NULL, "used_at" timestamptz NULL, PRIMARY KEY ("id"));
-- Create index "refreshtoken_expires_at" to table: "refresh_tokens"
CREATE INDEX "refreshtoken_expires_at" ON "refresh_tokens" ("expires_at");
-- Create index "refreshtoken_hash" to table: "refresh_tokens"
CREATE INDEX "refreshtoken_hash" ON "refresh_tokens" ("hash");
-- Create index "refreshtoken_org_id_grant_id" to table: "refresh_tokens"
CREATE INDEX "refreshtoken_org_id_grant_id" ON "refresh_tokens" ("org_id", "grant_id");
-- Create index "refreshtoken_org_id_id" to table: "refresh_tokens"
CREATE UNIQUE INDEX "refreshtoken_org_id_id" ON "refresh_tokens" ("org_id", "id");

-- What an application may do goes with it and with the user. Who made it may be gone.
ALTER TABLE applications ADD CONSTRAINT applications_org_fk
  FOREIGN KEY (org_id) REFERENCES organizations (id);
ALTER TABLE applications ADD CONSTRAINT applications_created_by_fk
  FOREIGN KEY (org_id, created_by_id) REFERENCES users (org_id, id) ON DELETE SET NULL (created_by_id);
ALTER TABLE grants ADD CONSTRAINT grants_user_fk
  FOREIGN KEY (org_id, user_id) REFERENCES users (org_id, id) ON DELETE CASCADE;
ALTER TABLE grants ADD CONSTRAINT grants_application_fk
  FOREIGN KEY (org_id, application_id) REFERENCES applications (org_id, id) ON DELETE CASCADE;
ALTER TABLE authorization_codes ADD CONSTRAINT authorization_codes_grant_fk
  FOREIGN KEY (org_id, grant_id) REFERENCES grants (org_id, id) ON DELETE CASCADE;
ALTER TABLE refresh_tokens ADD CONSTRAINT refresh_tokens_grant_fk
  FOREIGN KEY (org_id, grant_id) REFERENCES grants (org_id, id) ON DELETE CASCADE;
ALTER TABLE api_tokens ADD CONSTRAINT api_tokens_grant_fk
  FOREIGN KEY (org_id, grant_id) REFERENCES grants (org_id, id) ON DELETE CASCADE;
ALTER TABLE api_tokens ADD CONSTRAINT api_tokens_application_fk
  FOREIGN KEY (org_id, application_id) REFERENCES applications (org_id, id) ON DELETE CASCADE;
ALTER TABLE api_tokens ADD CONSTRAINT api_tokens_grant_check
  CHECK ((grant_id IS NULL) = (application_id IS NULL));
