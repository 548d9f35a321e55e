-- Create "api_tokens" table
CREATE TABLE "api_tokens" ("id" uuid NOT NULL, "org_id" uuid NOT NULL, "created_at" timestamptz NOT NULL, "updated_at" timestamptz NOT NULL, "user_id" uuid NOT NULL, "name" character varying NOT NULL, "hash" bytea NOT NULL, "expires_at" timestamptz NULL, "revoked_at" timestamptz NULL, "last_used_at" timestamptz NULL, PRIMARY KEY ("id"));
-- Create index "apitoken_hash" to table: "api_tokens"
CREATE INDEX "apitoken_hash" ON "api_tokens" ("hash");
-- Create index "apitoken_org_id_id" to table: "api_tokens"
CREATE UNIQUE INDEX "apitoken_org_id_id" ON "api_tokens" ("org_id", "id");
-- Create index "apitoken_org_id_user_id_id" to table: "api_tokens"
CREATE INDEX "apitoken_org_id_user_id_id" ON "api_tokens" ("org_id", "user_id", "id");
-- Create "commands" table
CREATE TABLE "commands" ("id" uuid NOT NULL, "org_id" uuid NOT NULL, "door_id" uuid NOT NULL, "device_id" uuid NULL, "verb" character varying NOT NULL, "stage" character varying NOT NULL DEFAULT 'CREATED', "reason" character varying NULL, "confirmation" character varying NOT NULL DEFAULT 'NONE', "requester_kind" character varying NOT NULL, "requester_id" character varying NOT NULL, "requester_user_id" uuid NULL, "idempotency_key" character varying NULL, "client_context" jsonb NULL, "requested_at" timestamptz NOT NULL, "dispatched_at" timestamptz NULL, "acknowledged_at" timestamptz NULL, "ended_at" timestamptz NULL, "expires_at" timestamptz NOT NULL, PRIMARY KEY ("id"));
-- Create index "command_open" to table: "commands"
CREATE INDEX "command_open" ON "commands" ("expires_at") WHERE (ended_at IS NULL);
-- Create index "command_org_id_device_id" to table: "commands"
CREATE INDEX "command_org_id_device_id" ON "commands" ("org_id", "device_id");
-- Create index "command_org_id_door_id_id" to table: "commands"
CREATE INDEX "command_org_id_door_id_id" ON "commands" ("org_id", "door_id", "id");
-- Create index "command_org_id_id" to table: "commands"
CREATE UNIQUE INDEX "command_org_id_id" ON "commands" ("org_id", "id");
-- Create index "command_org_id_requester_id_idempotency_key" to table: "commands"
CREATE UNIQUE INDEX "command_org_id_requester_id_idempotency_key" ON "commands" ("org_id", "requester_id", "idempotency_key");
-- Create "devices" table
CREATE TABLE "devices" ("id" uuid NOT NULL, "org_id" uuid NOT NULL, "created_at" timestamptz NOT NULL, "updated_at" timestamptz NOT NULL, "site_id" uuid NOT NULL, "name" character varying NOT NULL, "serial" character varying NULL, "model" character varying NULL, "firmware" character varying NULL, "public_key" bytea NULL, "claim_code_hash" bytea NULL, "claim_expires_at" timestamptz NULL, "enrolled_at" timestamptz NULL, "connectivity" character varying NOT NULL DEFAULT 'OFFLINE', "last_seen_at" timestamptz NULL, "epoch" bigint NOT NULL DEFAULT 0, "log_epoch" bigint NOT NULL DEFAULT 0, "last_sequence" bigint NOT NULL DEFAULT 0, PRIMARY KEY ("id"));
-- Create index "device_claim_code_hash" to table: "devices"
CREATE INDEX "device_claim_code_hash" ON "devices" ("claim_code_hash");
-- Create index "device_org_id_connectivity_name_id" to table: "devices"
CREATE INDEX "device_org_id_connectivity_name_id" ON "devices" ("org_id", "connectivity", "name", "id");
-- Create index "device_org_id_id" to table: "devices"
CREATE UNIQUE INDEX "device_org_id_id" ON "devices" ("org_id", "id");
-- Create index "device_org_id_name_id" to table: "devices"
CREATE INDEX "device_org_id_name_id" ON "devices" ("org_id", "name", "id");
-- Create index "device_org_id_site_id_name" to table: "devices"
CREATE UNIQUE INDEX "device_org_id_site_id_name" ON "devices" ("org_id", "site_id", "name");
-- Create "doors" table
CREATE TABLE "doors" ("id" uuid NOT NULL, "org_id" uuid NOT NULL, "created_at" timestamptz NOT NULL, "updated_at" timestamptz NOT NULL, "site_id" uuid NOT NULL, "device_id" uuid NULL, "device_port" bigint NULL, "name" character varying NOT NULL, "mode" character varying NOT NULL DEFAULT 'CONTROLLED', "lock_state" character varying NOT NULL DEFAULT 'UNKNOWN', "position" character varying NOT NULL DEFAULT 'UNKNOWN', "connectivity" character varying NOT NULL DEFAULT 'OFFLINE', "observed_at" timestamptz NULL, "relock_seconds" bigint NOT NULL DEFAULT 5, "held_open_seconds" bigint NOT NULL DEFAULT 30, PRIMARY KEY ("id"));
-- Create index "door_org_id_connectivity_name_id" to table: "doors"
CREATE INDEX "door_org_id_connectivity_name_id" ON "doors" ("org_id", "connectivity", "name", "id");
-- Create index "door_org_id_device_id_device_port" to table: "doors"
CREATE UNIQUE INDEX "door_org_id_device_id_device_port" ON "doors" ("org_id", "device_id", "device_port");
-- Create index "door_org_id_id" to table: "doors"
CREATE UNIQUE INDEX "door_org_id_id" ON "doors" ("org_id", "id");
-- Create index "door_org_id_lock_state_name_id" to table: "doors"
CREATE INDEX "door_org_id_lock_state_name_id" ON "doors" ("org_id", "lock_state", "name", "id");
-- Create index "door_org_id_name_id" to table: "doors"
CREATE INDEX "door_org_id_name_id" ON "doors" ("org_id", "name", "id");
-- Create index "door_org_id_site_id_name" to table: "doors"
CREATE UNIQUE INDEX "door_org_id_site_id_name" ON "doors" ("org_id", "site_id", "name");
-- Create "events" table
CREATE TABLE "events" ("id" uuid NOT NULL, "org_id" uuid NOT NULL, "seq" bigint NOT NULL, "type" character varying NOT NULL, "occurred_at" timestamptz NOT NULL, "received_at" timestamptz NOT NULL, "delivery" character varying NOT NULL, "actor_kind" character varying NOT NULL, "actor_id" character varying NOT NULL, "site_id" uuid NULL, "door_id" uuid NULL, "device_id" uuid NULL, "user_id" uuid NULL, "key_id" uuid NULL, "command_id" uuid NULL, "outcome" character varying NULL, "reason" character varying NULL, "method" character varying NULL, "severity" character varying NOT NULL, "data" jsonb NOT NULL, "leaf_hash" bytea NOT NULL, PRIMARY KEY ("id"));
-- Create index "event_org_id_door_id_seq" to table: "events"
CREATE INDEX "event_org_id_door_id_seq" ON "events" ("org_id", "door_id", "seq");
-- Create index "event_org_id_id" to table: "events"
CREATE UNIQUE INDEX "event_org_id_id" ON "events" ("org_id", "id");
-- Create index "event_org_id_occurred_at" to table: "events"
CREATE INDEX "event_org_id_occurred_at" ON "events" ("org_id", "occurred_at");
-- Create index "event_org_id_seq" to table: "events"
CREATE UNIQUE INDEX "event_org_id_seq" ON "events" ("org_id", "seq");
-- Create index "event_org_id_site_id_seq" to table: "events"
CREATE INDEX "event_org_id_site_id_seq" ON "events" ("org_id", "site_id", "seq");
-- Create index "event_org_id_type_seq" to table: "events"
CREATE INDEX "event_org_id_type_seq" ON "events" ("org_id", "type", "seq");
-- Create index "event_org_id_user_id_seq" to table: "events"
CREATE INDEX "event_org_id_user_id_seq" ON "events" ("org_id", "user_id", "seq");
-- Create "journal_heads" table
CREATE TABLE "journal_heads" ("org_id" uuid NOT NULL, "seq" bigint NOT NULL DEFAULT 0, "compact_range" bytea NULL, PRIMARY KEY ("org_id"));
-- Create "keys" table
CREATE TABLE "keys" ("id" uuid NOT NULL, "org_id" uuid NOT NULL, "created_at" timestamptz NOT NULL, "updated_at" timestamptz NOT NULL, "user_id" uuid NOT NULL, "site_id" uuid NULL, "valid_from" timestamptz NULL, "valid_until" timestamptz NULL, "revoked_at" timestamptz NULL, PRIMARY KEY ("id"));
-- Create index "key_org_id_id" to table: "keys"
CREATE UNIQUE INDEX "key_org_id_id" ON "keys" ("org_id", "id");
-- Create index "key_org_id_site_id_id" to table: "keys"
CREATE INDEX "key_org_id_site_id_id" ON "keys" ("org_id", "site_id", "id");
-- Create index "key_org_id_user_id_id" to table: "keys"
CREATE INDEX "key_org_id_user_id_id" ON "keys" ("org_id", "user_id", "id");
-- Create "key_doors" table
CREATE TABLE "key_doors" ("id" uuid NOT NULL, "org_id" uuid NOT NULL, "key_id" uuid NOT NULL, "door_id" uuid NOT NULL, PRIMARY KEY ("id"));
-- Create index "keydoor_org_id_door_id_key_id" to table: "key_doors"
CREATE INDEX "keydoor_org_id_door_id_key_id" ON "key_doors" ("org_id", "door_id", "key_id");
-- Create index "keydoor_org_id_id" to table: "key_doors"
CREATE UNIQUE INDEX "keydoor_org_id_id" ON "key_doors" ("org_id", "id");
-- Create index "keydoor_org_id_key_id_door_id" to table: "key_doors"
CREATE UNIQUE INDEX "keydoor_org_id_key_id_door_id" ON "key_doors" ("org_id", "key_id", "door_id");
-- Create "organizations" table
CREATE TABLE "organizations" ("id" uuid NOT NULL, "created_at" timestamptz NOT NULL, "updated_at" timestamptz NOT NULL, "name" character varying NOT NULL, PRIMARY KEY ("id"));
-- Create "sites" table
CREATE TABLE "sites" ("id" uuid NOT NULL, "org_id" uuid NOT NULL, "created_at" timestamptz NOT NULL, "updated_at" timestamptz NOT NULL, "name" character varying NOT NULL, "time_zone" character varying NOT NULL, PRIMARY KEY ("id"));
-- Create index "site_org_id_id" to table: "sites"
CREATE UNIQUE INDEX "site_org_id_id" ON "sites" ("org_id", "id");
-- Create index "site_org_id_name" to table: "sites"
CREATE UNIQUE INDEX "site_org_id_name" ON "sites" ("org_id", "name");
-- Create "users" table
CREATE TABLE "users" ("id" uuid NOT NULL, "org_id" uuid NOT NULL, "created_at" timestamptz NOT NULL, "updated_at" timestamptz NOT NULL, "name" character varying NOT NULL, "email" character varying NOT NULL, "role" character varying NOT NULL DEFAULT 'MEMBER', "status" character varying NOT NULL DEFAULT 'ACTIVE', PRIMARY KEY ("id"));
-- Create index "user_org_id_email" to table: "users"
CREATE UNIQUE INDEX "user_org_id_email" ON "users" ("org_id", "email");
-- Create index "user_org_id_id" to table: "users"
CREATE UNIQUE INDEX "user_org_id_id" ON "users" ("org_id", "id");
-- Create index "user_org_id_name_id" to table: "users"
CREATE INDEX "user_org_id_name_id" ON "users" ("org_id", "name", "id");
-- Create index "user_org_id_status_name_id" to table: "users"
CREATE INDEX "user_org_id_status_name_id" ON "users" ("org_id", "status", "name", "id");
-- Create "webhook_attempts" table
CREATE TABLE "webhook_attempts" ("id" uuid NOT NULL, "org_id" uuid NOT NULL, "delivery_id" uuid NOT NULL, "number" bigint NOT NULL, "started_at" timestamptz NOT NULL, "duration_ms" bigint NOT NULL, "status_code" bigint NULL, "error_class" character varying NULL, "response_body" text NULL, PRIMARY KEY ("id"));
-- Create index "webhookattempt_org_id_delivery_id_number" to table: "webhook_attempts"
CREATE UNIQUE INDEX "webhookattempt_org_id_delivery_id_number" ON "webhook_attempts" ("org_id", "delivery_id", "number");
-- Create index "webhookattempt_org_id_id" to table: "webhook_attempts"
CREATE UNIQUE INDEX "webhookattempt_org_id_id" ON "webhook_attempts" ("org_id", "id");
-- Create "webhook_cursors" table
CREATE TABLE "webhook_cursors" ("org_id" uuid NOT NULL, "seq" bigint NOT NULL DEFAULT 0, PRIMARY KEY ("org_id"));
-- Create "webhook_deliveries" table
CREATE TABLE "webhook_deliveries" ("id" uuid NOT NULL, "org_id" uuid NOT NULL, "endpoint_id" uuid NOT NULL, "event_id" uuid NOT NULL, "event_seq" bigint NOT NULL, "state" character varying NOT NULL DEFAULT 'PENDING', "attempts" bigint NOT NULL DEFAULT 0, "next_at" timestamptz NULL, "leased_until" timestamptz NULL, "created_at" timestamptz NOT NULL, "ended_at" timestamptz NULL, PRIMARY KEY ("id"));
-- Create index "webhookdelivery_due" to table: "webhook_deliveries"
CREATE INDEX "webhookdelivery_due" ON "webhook_deliveries" ("endpoint_id", "next_at", "event_seq") WHERE ((state)::text = 'PENDING'::text);
-- Create index "webhookdelivery_org_id_endpoint_id_event_seq" to table: "webhook_deliveries"
CREATE UNIQUE INDEX "webhookdelivery_org_id_endpoint_id_event_seq" ON "webhook_deliveries" ("org_id", "endpoint_id", "event_seq");
-- Create index "webhookdelivery_org_id_id" to table: "webhook_deliveries"
CREATE UNIQUE INDEX "webhookdelivery_org_id_id" ON "webhook_deliveries" ("org_id", "id");
-- Create "webhook_endpoints" table
CREATE TABLE "webhook_endpoints" ("id" uuid NOT NULL, "org_id" uuid NOT NULL, "created_at" timestamptz NOT NULL, "updated_at" timestamptz NOT NULL, "url" character varying NOT NULL, "description" character varying NULL, "event_types" jsonb NULL, "secret" bytea NOT NULL, "enabled" boolean NOT NULL DEFAULT true, "disabled_reason" character varying NULL, "from_seq" bigint NOT NULL DEFAULT 0, PRIMARY KEY ("id"));
-- Create index "webhookendpoint_org_id_id" to table: "webhook_endpoints"
CREATE UNIQUE INDEX "webhookendpoint_org_id_id" ON "webhook_endpoints" ("org_id", "id");
-- Create index "webhookendpoint_org_id_url" to table: "webhook_endpoints"
CREATE UNIQUE INDEX "webhookendpoint_org_id_url" ON "webhook_endpoints" ("org_id", "url");
