-- Modify "devices" table
ALTER TABLE "devices" ADD COLUMN "next_key" bytea NULL, ADD COLUMN "next_key_at" timestamptz NULL, ADD COLUMN "clock_offset" bigint NULL;
