-- Modify "sessions" table
ALTER TABLE "sessions" ADD COLUMN "account" bytea NULL;
