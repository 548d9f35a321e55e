-- Create "managed_sites" table
CREATE TABLE "managed_sites" ("id" uuid NOT NULL, "org_id" uuid NOT NULL, "user_id" uuid NOT NULL, "site_id" uuid NOT NULL, PRIMARY KEY ("id"));
-- Create index "managedsite_org_id_id" to table: "managed_sites"
CREATE UNIQUE INDEX "managedsite_org_id_id" ON "managed_sites" ("org_id", "id");
-- Create index "managedsite_org_id_site_id" to table: "managed_sites"
CREATE INDEX "managedsite_org_id_site_id" ON "managed_sites" ("org_id", "site_id");
-- Create index "managedsite_org_id_user_id_site_id" to table: "managed_sites"
CREATE UNIQUE INDEX "managedsite_org_id_user_id_site_id" ON "managed_sites" ("org_id", "user_id", "site_id");

ALTER TABLE managed_sites ADD CONSTRAINT managed_sites_user_fk
  FOREIGN KEY (org_id, user_id) REFERENCES users (org_id, id) ON DELETE CASCADE;
ALTER TABLE managed_sites ADD CONSTRAINT managed_sites_site_fk
  FOREIGN KEY (org_id, site_id) REFERENCES sites (org_id, id) ON DELETE CASCADE;

-- An organization has an owner: the active administrator who has been there longest.
UPDATE users SET role = 'OWNER' WHERE id IN (
  SELECT DISTINCT ON (org_id) id FROM users WHERE role = 'ADMIN' AND status = 'ACTIVE'
  ORDER BY org_id, created_at, id);
