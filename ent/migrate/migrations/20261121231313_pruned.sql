-- Modify "log_tiles" table
ALTER TABLE "log_tiles" ADD COLUMN "pruned" jsonb NULL;
