-- Modify "user_groups" table
ALTER TABLE "user_groups" ADD COLUMN "external_id" character varying NULL;
-- Create index "usergroup_org_id_external_id" to table: "user_groups"
CREATE UNIQUE INDEX "usergroup_org_id_external_id" ON "user_groups" ("org_id", "external_id");
-- Modify "users" table
ALTER TABLE "users" ADD COLUMN "given_name" character varying NULL, ADD COLUMN "family_name" character varying NULL, ADD COLUMN "external_id" character varying NULL;
-- Create index "user_org_id_external_id" to table: "users"
CREATE UNIQUE INDEX "user_org_id_external_id" ON "users" ("org_id", "external_id");
