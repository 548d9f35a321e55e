-- Modify "api_tokens" table
ALTER TABLE "api_tokens" ADD COLUMN "previous_hash" bytea NULL, ADD COLUMN "previous_until" timestamptz NULL, ADD COLUMN "scopes" jsonb NULL, ADD COLUMN "site_ids" jsonb NULL, ADD COLUMN "addresses" jsonb NULL, ADD COLUMN "last_used_address" character varying NULL, ADD COLUMN "known_addresses" jsonb NULL;
-- Create index "apitoken_previous_hash" to table: "api_tokens"
CREATE INDEX "apitoken_previous_hash" ON "api_tokens" ("previous_hash") WHERE (previous_hash IS NOT NULL);
