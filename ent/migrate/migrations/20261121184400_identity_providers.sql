-- Create "identities" table
CREATE TABLE "identities" ("id" uuid NOT NULL, "org_id" uuid NOT NULL, "user_id" uuid NOT NULL, "provider_id" uuid NOT NULL, "issuer" character varying NOT NULL, "subject" character varying NOT NULL, "created_at" timestamptz NOT NULL, PRIMARY KEY ("id"));
-- Create index "identity_org_id_id" to table: "identities"
CREATE UNIQUE INDEX "identity_org_id_id" ON "identities" ("org_id", "id");
-- Create index "identity_org_id_provider_id_subject" to table: "identities"
CREATE UNIQUE INDEX "identity_org_id_provider_id_subject" ON "identities" ("org_id", "provider_id", "subject");
-- Create index "identity_org_id_user_id_provider_id" to table: "identities"
CREATE UNIQUE INDEX "identity_org_id_user_id_provider_id" ON "identities" ("org_id", "user_id", "provider_id");
-- Create "identity_providers" table
CREATE TABLE "identity_providers" ("id" uuid NOT NULL, "org_id" uuid NOT NULL, "created_at" timestamptz NOT NULL, "updated_at" timestamptz NOT NULL, "name" character varying NOT NULL, "issuer" character varying NOT NULL, "client" character varying NOT NULL, "client_secret" bytea NOT NULL, "domains" jsonb NOT NULL, "required" boolean NOT NULL, "create_users" boolean NOT NULL, "disabled_at" timestamptz NULL, PRIMARY KEY ("id"));
-- Create index "identityprovider_domains" to table: "identity_providers"
CREATE INDEX "identityprovider_domains" ON "identity_providers" USING gin ("domains");
-- Create index "identityprovider_org_id_id" to table: "identity_providers"
CREATE UNIQUE INDEX "identityprovider_org_id_id" ON "identity_providers" ("org_id", "id");
-- Create index "identityprovider_org_id_issuer_client" to table: "identity_providers"
CREATE UNIQUE INDEX "identityprovider_org_id_issuer_client" ON "identity_providers" ("org_id", "issuer", "client");
-- Create "identity_requests" table
CREATE TABLE "identity_requests" ("id" uuid NOT NULL, "org_id" uuid NOT NULL, "provider_id" uuid NOT NULL, "state_hash" bytea NOT NULL, "nonce_hash" bytea NOT NULL, "next" character varying NOT NULL, "expires_at" timestamptz NOT NULL, PRIMARY KEY ("id"));
-- Create index "identityrequest_expires_at" to table: "identity_requests"
CREATE INDEX "identityrequest_expires_at" ON "identity_requests" ("expires_at");
-- Create index "identityrequest_org_id_id" to table: "identity_requests"
CREATE UNIQUE INDEX "identityrequest_org_id_id" ON "identity_requests" ("org_id", "id");
-- Create index "identityrequest_state_hash" to table: "identity_requests"
CREATE INDEX "identityrequest_state_hash" ON "identity_requests" ("state_hash");

-- An identity is of a user and a provider of its organization, and goes with either.
ALTER TABLE identities ADD CONSTRAINT identities_user_fk
  FOREIGN KEY (org_id, user_id) REFERENCES users (org_id, id) ON DELETE CASCADE;
ALTER TABLE identities ADD CONSTRAINT identities_provider_fk
  FOREIGN KEY (org_id, provider_id) REFERENCES identity_providers (org_id, id) ON DELETE CASCADE;
ALTER TABLE identity_requests ADD CONSTRAINT identity_requests_provider_fk
  FOREIGN KEY (org_id, provider_id) REFERENCES identity_providers (org_id, id) ON DELETE CASCADE;
ALTER TABLE identity_providers ADD CONSTRAINT identity_providers_org_fk
  FOREIGN KEY (org_id) REFERENCES organizations (id);

SELECT wall('identity_providers'), wall('identities'), wall('identity_requests');
