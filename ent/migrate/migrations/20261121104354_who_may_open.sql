-- Modify "commands" table
ALTER TABLE "commands" ADD COLUMN "key_id" uuid NULL, ADD COLUMN "used_key_ids" jsonb NULL, ADD COLUMN "as_operator" boolean NOT NULL DEFAULT false, ADD COLUMN "note" character varying NULL;
-- Create index "command_open_of_door" to table: "commands"
CREATE INDEX "command_open_of_door" ON "commands" ("org_id", "door_id") WHERE (ended_at IS NULL);
-- Create index "command_open_of_key" to table: "commands"
CREATE INDEX "command_open_of_key" ON "commands" ("org_id", "key_id") WHERE (ended_at IS NULL);
-- Modify "devices" table
ALTER TABLE "devices" ADD COLUMN "challenged_at" timestamptz NULL;
-- Modify "doors" table
ALTER TABLE "doors" ADD COLUMN "override_mode" character varying NULL, ADD COLUMN "override_until" timestamptz NULL, ADD COLUMN "unlock_schedule_id" uuid NULL, ADD COLUMN "first_person_in" boolean NOT NULL DEFAULT false, ADD COLUMN "first_in_at" timestamptz NULL, ADD COLUMN "effective_mode" character varying NOT NULL DEFAULT 'CONTROLLED', ADD COLUMN "effective_cause" character varying NOT NULL DEFAULT 'STANDING', ADD COLUMN "effective_until" timestamptz NULL, ADD COLUMN "told_mode" character varying NULL, ADD COLUMN "into_area_id" uuid NULL, ADD COLUMN "out_of_area_id" uuid NULL, ADD COLUMN "pin_failures" bigint NOT NULL DEFAULT 0, ADD COLUMN "pin_blocked_until" timestamptz NULL, ADD COLUMN "pin_budget_at" timestamptz NULL;
-- Create index "door_mode_due" to table: "doors"
CREATE INDEX "door_mode_due" ON "doors" ("effective_until") WHERE (effective_until IS NOT NULL);
-- Create index "door_org_id_into_area_id" to table: "doors"
CREATE INDEX "door_org_id_into_area_id" ON "doors" ("org_id", "into_area_id");
-- Create index "door_org_id_out_of_area_id" to table: "doors"
CREATE INDEX "door_org_id_out_of_area_id" ON "doors" ("org_id", "out_of_area_id");
-- Create index "door_org_id_site_id_id" to table: "doors"
CREATE INDEX "door_org_id_site_id_id" ON "doors" ("org_id", "site_id", "id");
-- Create index "door_org_id_unlock_schedule_id" to table: "doors"
CREATE INDEX "door_org_id_unlock_schedule_id" ON "doors" ("org_id", "unlock_schedule_id");
-- Create index "door_untold" to table: "doors"
CREATE INDEX "door_untold" ON "doors" ("device_id") WHERE ((device_id IS NOT NULL) AND ((told_mode)::text IS DISTINCT FROM (effective_mode)::text));
-- Modify "keys" table
ALTER TABLE "keys" ALTER COLUMN "user_id" DROP NOT NULL, ADD COLUMN "user_group_id" uuid NULL, ADD COLUMN "schedule_id" uuid NULL, ADD COLUMN "uses" bigint NULL, ADD COLUMN "uses_left" bigint NULL, ADD COLUMN "remote" boolean NOT NULL DEFAULT true, ADD COLUMN "shares_left" bigint NOT NULL DEFAULT 0, ADD COLUMN "parent_id" uuid NULL, ADD COLUMN "depth" bigint NOT NULL DEFAULT 0, ADD COLUMN "shared_by_id" uuid NULL, ADD COLUMN "recipient" character varying NULL, ADD COLUMN "recipient_name" character varying NULL, ADD COLUMN "link_hash" bytea NULL, ADD COLUMN "redeemed_at" timestamptz NULL, ADD COLUMN "suspended_at" timestamptz NULL;
-- Create index "key_org_id_link_hash" to table: "keys"
CREATE UNIQUE INDEX "key_org_id_link_hash" ON "keys" ("org_id", "link_hash");
-- Create index "key_org_id_parent_id_id" to table: "keys"
CREATE INDEX "key_org_id_parent_id_id" ON "keys" ("org_id", "parent_id", "id");
-- Create index "key_org_id_schedule_id" to table: "keys"
CREATE INDEX "key_org_id_schedule_id" ON "keys" ("org_id", "schedule_id");
-- Create index "key_org_id_shared_by_id_id" to table: "keys"
CREATE INDEX "key_org_id_shared_by_id_id" ON "keys" ("org_id", "shared_by_id", "id");
-- Create index "key_org_id_user_group_id_id" to table: "keys"
CREATE INDEX "key_org_id_user_group_id_id" ON "keys" ("org_id", "user_group_id", "id");
-- Modify "sites" table
ALTER TABLE "sites" ADD COLUMN "holiday_calendar_id" uuid NULL;
-- Modify "users" table
ALTER TABLE "users" ALTER COLUMN "email" DROP NOT NULL;
-- Create "areas" table
CREATE TABLE "areas" ("id" uuid NOT NULL, "org_id" uuid NOT NULL, "created_at" timestamptz NOT NULL, "updated_at" timestamptz NOT NULL, "site_id" uuid NOT NULL, "name" character varying NOT NULL, "occupancy_limit" bigint NULL, "limit_mode" character varying NOT NULL DEFAULT 'OFF', "anti_passback" character varying NOT NULL DEFAULT 'OFF', "reset_at" timestamptz NULL, PRIMARY KEY ("id"));
-- Create index "area_org_id_id" to table: "areas"
CREATE UNIQUE INDEX "area_org_id_id" ON "areas" ("org_id", "id");
-- Create index "area_org_id_site_id_name" to table: "areas"
CREATE UNIQUE INDEX "area_org_id_site_id_name" ON "areas" ("org_id", "site_id", "name");
-- Create "credentials" table
CREATE TABLE "credentials" ("id" uuid NOT NULL, "org_id" uuid NOT NULL, "created_at" timestamptz NOT NULL, "updated_at" timestamptz NOT NULL, "user_id" uuid NOT NULL, "kind" character varying NOT NULL, "label" character varying NULL, "hint" character varying NOT NULL, "duress" boolean NOT NULL DEFAULT false, "pin_hash" character varying NULL, "card_format" character varying NULL, "sealed" bytea NULL, "public_key" bytea NULL, "lookup" bytea NULL, "number_lookup" bytea NULL, "valid_from" timestamptz NULL, "valid_until" timestamptz NULL, "failures" bigint NOT NULL DEFAULT 0, "blocked_until" timestamptz NULL, "suspended_at" timestamptz NULL, "revoked_at" timestamptz NULL, PRIMARY KEY ("id"));
-- Create index "credential_in_force" to table: "credentials"
CREATE UNIQUE INDEX "credential_in_force" ON "credentials" ("org_id", "kind", "lookup") WHERE (revoked_at IS NULL);
-- Create index "credential_number" to table: "credentials"
CREATE INDEX "credential_number" ON "credentials" ("org_id", "number_lookup") WHERE (number_lookup IS NOT NULL);
-- Create index "credential_org_id_id" to table: "credentials"
CREATE UNIQUE INDEX "credential_org_id_id" ON "credentials" ("org_id", "id");
-- Create index "credential_org_id_user_id_id" to table: "credentials"
CREATE INDEX "credential_org_id_user_id_id" ON "credentials" ("org_id", "user_id", "id");
-- Create index "credential_presented" to table: "credentials"
CREATE INDEX "credential_presented" ON "credentials" ("org_id", "kind", "lookup", "id");
-- Create "door_groups" table
CREATE TABLE "door_groups" ("id" uuid NOT NULL, "org_id" uuid NOT NULL, "created_at" timestamptz NOT NULL, "updated_at" timestamptz NOT NULL, "name" character varying NOT NULL, "parent_id" uuid NULL, PRIMARY KEY ("id"));
-- Create index "doorgroup_org_id_id" to table: "door_groups"
CREATE UNIQUE INDEX "doorgroup_org_id_id" ON "door_groups" ("org_id", "id");
-- Create index "doorgroup_org_id_name" to table: "door_groups"
CREATE UNIQUE INDEX "doorgroup_org_id_name" ON "door_groups" ("org_id", "name");
-- Create index "doorgroup_org_id_parent_id" to table: "door_groups"
CREATE INDEX "doorgroup_org_id_parent_id" ON "door_groups" ("org_id", "parent_id");
-- Create "door_group_doors" table
CREATE TABLE "door_group_doors" ("id" uuid NOT NULL, "org_id" uuid NOT NULL, "door_group_id" uuid NOT NULL, "door_id" uuid NOT NULL, "valid_from" timestamptz NULL, "valid_until" timestamptz NULL, PRIMARY KEY ("id"));
-- Create index "doorgroupdoor_org_id_door_group_id_door_id" to table: "door_group_doors"
CREATE UNIQUE INDEX "doorgroupdoor_org_id_door_group_id_door_id" ON "door_group_doors" ("org_id", "door_group_id", "door_id");
-- Create index "doorgroupdoor_org_id_door_id_door_group_id" to table: "door_group_doors"
CREATE INDEX "doorgroupdoor_org_id_door_id_door_group_id" ON "door_group_doors" ("org_id", "door_id", "door_group_id");
-- Create index "doorgroupdoor_org_id_id" to table: "door_group_doors"
CREATE UNIQUE INDEX "doorgroupdoor_org_id_id" ON "door_group_doors" ("org_id", "id");
-- Create "holiday_calendars" table
CREATE TABLE "holiday_calendars" ("id" uuid NOT NULL, "org_id" uuid NOT NULL, "created_at" timestamptz NOT NULL, "updated_at" timestamptz NOT NULL, "name" character varying NOT NULL, "holidays" jsonb NOT NULL, "revision" bigint NOT NULL DEFAULT 1, PRIMARY KEY ("id"));
-- Create index "holidaycalendar_org_id_id" to table: "holiday_calendars"
CREATE UNIQUE INDEX "holidaycalendar_org_id_id" ON "holiday_calendars" ("org_id", "id");
-- Create index "holidaycalendar_org_id_name" to table: "holiday_calendars"
CREATE UNIQUE INDEX "holidaycalendar_org_id_name" ON "holiday_calendars" ("org_id", "name");
-- Create "key_targets" table
CREATE TABLE "key_targets" ("id" uuid NOT NULL, "org_id" uuid NOT NULL, "key_id" uuid NOT NULL, "user_id" uuid NULL, "user_group_id" uuid NULL, "door_id" uuid NULL, "door_group_id" uuid NULL, "site_id" uuid NULL, PRIMARY KEY ("id"));
-- Create index "keytarget_org_id_door_id_key_id" to table: "key_targets"
CREATE INDEX "keytarget_org_id_door_id_key_id" ON "key_targets" ("org_id", "door_id", "key_id");
-- Create index "keytarget_org_id_id" to table: "key_targets"
CREATE UNIQUE INDEX "keytarget_org_id_id" ON "key_targets" ("org_id", "id");
-- Create index "keytarget_org_id_key_id_door_id" to table: "key_targets"
CREATE UNIQUE INDEX "keytarget_org_id_key_id_door_id" ON "key_targets" ("org_id", "key_id", "door_id");
-- Create "lockdowns" table
CREATE TABLE "lockdowns" ("id" uuid NOT NULL, "org_id" uuid NOT NULL, "created_at" timestamptz NOT NULL, "updated_at" timestamptz NOT NULL, "plan_id" uuid NOT NULL, "state" character varying NOT NULL, "requested_by" character varying NOT NULL, "requested_at" timestamptz NOT NULL, "activated_by" character varying NULL, "activated_at" timestamptz NULL, "reverts_at" timestamptz NULL, "release_requested_by" character varying NULL, "release_requested_at" timestamptz NULL, "released_by" character varying NULL, "released_at" timestamptz NULL, "note" character varying NULL, PRIMARY KEY ("id"));
-- Create index "lockdown_org_id_id" to table: "lockdowns"
CREATE UNIQUE INDEX "lockdown_org_id_id" ON "lockdowns" ("org_id", "id");
-- Create index "lockdown_org_id_plan_id_id" to table: "lockdowns"
CREATE INDEX "lockdown_org_id_plan_id_id" ON "lockdowns" ("org_id", "plan_id", "id");
-- Create index "lockdown_org_id_state_id" to table: "lockdowns"
CREATE INDEX "lockdown_org_id_state_id" ON "lockdowns" ("org_id", "state", "id");
-- Create index "lockdown_reverts" to table: "lockdowns"
CREATE INDEX "lockdown_reverts" ON "lockdowns" ("reverts_at") WHERE ((state)::text = 'ACTIVE'::text);
-- Create "lockdown_doors" table
CREATE TABLE "lockdown_doors" ("id" uuid NOT NULL, "org_id" uuid NOT NULL, "lockdown_id" uuid NOT NULL, "door_id" uuid NOT NULL, "outcome" character varying NOT NULL DEFAULT 'PENDING', "released_at" timestamptz NULL, PRIMARY KEY ("id"));
-- Create index "lockdown_door_in_force" to table: "lockdown_doors"
CREATE INDEX "lockdown_door_in_force" ON "lockdown_doors" ("org_id", "door_id") WHERE (released_at IS NULL);
-- Create index "lockdowndoor_org_id_id" to table: "lockdown_doors"
CREATE UNIQUE INDEX "lockdowndoor_org_id_id" ON "lockdown_doors" ("org_id", "id");
-- Create index "lockdowndoor_org_id_lockdown_id_door_id" to table: "lockdown_doors"
CREATE UNIQUE INDEX "lockdowndoor_org_id_lockdown_id_door_id" ON "lockdown_doors" ("org_id", "lockdown_id", "door_id");
-- Create "lockdown_plans" table
CREATE TABLE "lockdown_plans" ("id" uuid NOT NULL, "org_id" uuid NOT NULL, "created_at" timestamptz NOT NULL, "updated_at" timestamptz NOT NULL, "name" character varying NOT NULL, "site_ids" jsonb NOT NULL, "door_ids" jsonb NOT NULL, "trigger_group_id" uuid NULL, "release_group_id" uuid NULL, "two_person_trigger" boolean NOT NULL DEFAULT false, "two_person_release" boolean NOT NULL DEFAULT false, "revert_seconds" bigint NULL, PRIMARY KEY ("id"));
-- Create index "lockdownplan_org_id_id" to table: "lockdown_plans"
CREATE UNIQUE INDEX "lockdownplan_org_id_id" ON "lockdown_plans" ("org_id", "id");
-- Create index "lockdownplan_org_id_name" to table: "lockdown_plans"
CREATE UNIQUE INDEX "lockdownplan_org_id_name" ON "lockdown_plans" ("org_id", "name");
-- Create "presences" table
CREATE TABLE "presences" ("id" uuid NOT NULL, "org_id" uuid NOT NULL, "area_id" uuid NOT NULL, "user_id" uuid NOT NULL, "state" character varying NOT NULL, "since" timestamptz NOT NULL, "door_id" uuid NULL, "passes" jsonb NOT NULL, PRIMARY KEY ("id"));
-- Create index "presence_org_id_area_id_state_user_id" to table: "presences"
CREATE INDEX "presence_org_id_area_id_state_user_id" ON "presences" ("org_id", "area_id", "state", "user_id");
-- Create index "presence_org_id_area_id_user_id" to table: "presences"
CREATE UNIQUE INDEX "presence_org_id_area_id_user_id" ON "presences" ("org_id", "area_id", "user_id");
-- Create index "presence_org_id_id" to table: "presences"
CREATE UNIQUE INDEX "presence_org_id_id" ON "presences" ("org_id", "id");
-- Create index "presence_org_id_user_id" to table: "presences"
CREATE INDEX "presence_org_id_user_id" ON "presences" ("org_id", "user_id");
-- Create "schedules" table
CREATE TABLE "schedules" ("id" uuid NOT NULL, "org_id" uuid NOT NULL, "created_at" timestamptz NOT NULL, "updated_at" timestamptz NOT NULL, "name" character varying NOT NULL, "windows" jsonb NOT NULL, "revision" bigint NOT NULL DEFAULT 1, PRIMARY KEY ("id"));
-- Create index "schedule_org_id_id" to table: "schedules"
CREATE UNIQUE INDEX "schedule_org_id_id" ON "schedules" ("org_id", "id");
-- Create index "schedule_org_id_name" to table: "schedules"
CREATE UNIQUE INDEX "schedule_org_id_name" ON "schedules" ("org_id", "name");
-- Create "user_groups" table
CREATE TABLE "user_groups" ("id" uuid NOT NULL, "org_id" uuid NOT NULL, "created_at" timestamptz NOT NULL, "updated_at" timestamptz NOT NULL, "name" character varying NOT NULL, "parent_id" uuid NULL, PRIMARY KEY ("id"));
-- Create index "usergroup_org_id_id" to table: "user_groups"
CREATE UNIQUE INDEX "usergroup_org_id_id" ON "user_groups" ("org_id", "id");
-- Create index "usergroup_org_id_name" to table: "user_groups"
CREATE UNIQUE INDEX "usergroup_org_id_name" ON "user_groups" ("org_id", "name");
-- Create index "usergroup_org_id_parent_id" to table: "user_groups"
CREATE INDEX "usergroup_org_id_parent_id" ON "user_groups" ("org_id", "parent_id");
-- Create "user_group_members" table
CREATE TABLE "user_group_members" ("id" uuid NOT NULL, "org_id" uuid NOT NULL, "user_group_id" uuid NOT NULL, "user_id" uuid NOT NULL, "valid_from" timestamptz NULL, "valid_until" timestamptz NULL, PRIMARY KEY ("id"));
-- Create index "usergroupmember_org_id_id" to table: "user_group_members"
CREATE UNIQUE INDEX "usergroupmember_org_id_id" ON "user_group_members" ("org_id", "id");
-- Create index "usergroupmember_org_id_user_group_id_user_id" to table: "user_group_members"
CREATE UNIQUE INDEX "usergroupmember_org_id_user_group_id_user_id" ON "user_group_members" ("org_id", "user_group_id", "user_id");
-- Create index "usergroupmember_org_id_user_id_user_group_id" to table: "user_group_members"
CREATE INDEX "usergroupmember_org_id_user_id_user_group_id" ON "user_group_members" ("org_id", "user_id", "user_group_id");
-- Create "visits" table
CREATE TABLE "visits" ("id" uuid NOT NULL, "org_id" uuid NOT NULL, "created_at" timestamptz NOT NULL, "updated_at" timestamptz NOT NULL, "host_id" uuid NOT NULL, "site_id" uuid NOT NULL, "key_id" uuid NOT NULL, "name" character varying NOT NULL, "state" character varying NOT NULL DEFAULT 'INVITED', "starts_at" timestamptz NOT NULL, "ends_at" timestamptz NOT NULL, "arrived_at" timestamptz NULL, "ended_at" timestamptz NULL, PRIMARY KEY ("id"));
-- Create index "visit_open" to table: "visits"
CREATE INDEX "visit_open" ON "visits" ("ends_at") WHERE (ended_at IS NULL);
-- Create index "visit_org_id_host_id_starts_at_id" to table: "visits"
CREATE INDEX "visit_org_id_host_id_starts_at_id" ON "visits" ("org_id", "host_id", "starts_at", "id");
-- Create index "visit_org_id_id" to table: "visits"
CREATE UNIQUE INDEX "visit_org_id_id" ON "visits" ("org_id", "id");
-- Create index "visit_org_id_key_id" to table: "visits"
CREATE UNIQUE INDEX "visit_org_id_key_id" ON "visits" ("org_id", "key_id");
-- Create index "visit_org_id_site_id_starts_at_id" to table: "visits"
CREATE INDEX "visit_org_id_site_id_starts_at_id" ON "visits" ("org_id", "site_id", "starts_at", "id");
-- Create index "visit_org_id_state_starts_at_id" to table: "visits"
CREATE INDEX "visit_org_id_state_starts_at_id" ON "visits" ("org_id", "state", "starts_at", "id");

-- What a key opens moves from two places into one.
INSERT INTO key_targets (id, org_id, key_id, user_id, door_id)
  SELECT d.id, d.org_id, d.key_id, k.user_id, d.door_id
  FROM key_doors d JOIN keys k ON k.org_id = d.org_id AND k.id = d.key_id;
INSERT INTO key_targets (id, org_id, key_id, user_id, site_id)
  SELECT gen_random_uuid(), org_id, id, user_id, site_id FROM keys WHERE site_id IS NOT NULL;
DROP TABLE key_doors;
ALTER TABLE keys DROP COLUMN site_id;

-- Until now a door's own mode was the one in force.
UPDATE doors SET effective_mode = mode WHERE effective_mode <> mode;

-- Every reference stays within its organization: the foreign keys carry org_id.
ALTER TABLE user_groups ADD CONSTRAINT user_groups_org_fk
  FOREIGN KEY (org_id) REFERENCES organizations (id);
ALTER TABLE user_groups ADD CONSTRAINT user_groups_parent_fk
  FOREIGN KEY (org_id, parent_id) REFERENCES user_groups (org_id, id);
ALTER TABLE user_group_members ADD CONSTRAINT user_group_members_group_fk
  FOREIGN KEY (org_id, user_group_id) REFERENCES user_groups (org_id, id) ON DELETE CASCADE;
ALTER TABLE user_group_members ADD CONSTRAINT user_group_members_user_fk
  FOREIGN KEY (org_id, user_id) REFERENCES users (org_id, id) ON DELETE CASCADE;
ALTER TABLE door_groups ADD CONSTRAINT door_groups_org_fk
  FOREIGN KEY (org_id) REFERENCES organizations (id);
ALTER TABLE door_groups ADD CONSTRAINT door_groups_parent_fk
  FOREIGN KEY (org_id, parent_id) REFERENCES door_groups (org_id, id);
ALTER TABLE door_group_doors ADD CONSTRAINT door_group_doors_group_fk
  FOREIGN KEY (org_id, door_group_id) REFERENCES door_groups (org_id, id) ON DELETE CASCADE;
ALTER TABLE door_group_doors ADD CONSTRAINT door_group_doors_door_fk
  FOREIGN KEY (org_id, door_id) REFERENCES doors (org_id, id) ON DELETE CASCADE;
ALTER TABLE schedules ADD CONSTRAINT schedules_org_fk
  FOREIGN KEY (org_id) REFERENCES organizations (id);
ALTER TABLE holiday_calendars ADD CONSTRAINT holiday_calendars_org_fk
  FOREIGN KEY (org_id) REFERENCES organizations (id);
ALTER TABLE sites ADD CONSTRAINT sites_holiday_calendar_fk
  FOREIGN KEY (org_id, holiday_calendar_id) REFERENCES holiday_calendars (org_id, id);
ALTER TABLE areas ADD CONSTRAINT areas_site_fk
  FOREIGN KEY (org_id, site_id) REFERENCES sites (org_id, id) ON DELETE CASCADE;
ALTER TABLE doors ADD CONSTRAINT doors_unlock_schedule_fk
  FOREIGN KEY (org_id, unlock_schedule_id) REFERENCES schedules (org_id, id);
ALTER TABLE doors ADD CONSTRAINT doors_into_area_fk
  FOREIGN KEY (org_id, into_area_id) REFERENCES areas (org_id, id)
  ON DELETE SET NULL (into_area_id);
ALTER TABLE doors ADD CONSTRAINT doors_out_of_area_fk
  FOREIGN KEY (org_id, out_of_area_id) REFERENCES areas (org_id, id)
  ON DELETE SET NULL (out_of_area_id);
ALTER TABLE keys ADD CONSTRAINT keys_user_group_fk
  FOREIGN KEY (org_id, user_group_id) REFERENCES user_groups (org_id, id) ON DELETE CASCADE;
ALTER TABLE keys ADD CONSTRAINT keys_schedule_fk
  FOREIGN KEY (org_id, schedule_id) REFERENCES schedules (org_id, id);
ALTER TABLE keys ADD CONSTRAINT keys_parent_fk
  FOREIGN KEY (org_id, parent_id) REFERENCES keys (org_id, id) ON DELETE CASCADE;
ALTER TABLE keys ADD CONSTRAINT keys_shared_by_fk
  FOREIGN KEY (org_id, shared_by_id) REFERENCES users (org_id, id) ON DELETE CASCADE;
ALTER TABLE key_targets ADD CONSTRAINT key_targets_key_fk
  FOREIGN KEY (org_id, key_id) REFERENCES keys (org_id, id) ON DELETE CASCADE;
ALTER TABLE key_targets ADD CONSTRAINT key_targets_user_fk
  FOREIGN KEY (org_id, user_id) REFERENCES users (org_id, id) ON DELETE CASCADE;
ALTER TABLE key_targets ADD CONSTRAINT key_targets_user_group_fk
  FOREIGN KEY (org_id, user_group_id) REFERENCES user_groups (org_id, id) ON DELETE CASCADE;
ALTER TABLE key_targets ADD CONSTRAINT key_targets_door_fk
  FOREIGN KEY (org_id, door_id) REFERENCES doors (org_id, id) ON DELETE CASCADE;
ALTER TABLE key_targets ADD CONSTRAINT key_targets_door_group_fk
  FOREIGN KEY (org_id, door_group_id) REFERENCES door_groups (org_id, id) ON DELETE CASCADE;
ALTER TABLE key_targets ADD CONSTRAINT key_targets_site_fk
  FOREIGN KEY (org_id, site_id) REFERENCES sites (org_id, id) ON DELETE CASCADE;
ALTER TABLE commands ADD CONSTRAINT commands_key_fk
  FOREIGN KEY (org_id, key_id) REFERENCES keys (org_id, id) ON DELETE SET NULL (key_id);
ALTER TABLE lockdown_plans ADD CONSTRAINT lockdown_plans_org_fk
  FOREIGN KEY (org_id) REFERENCES organizations (id);
ALTER TABLE lockdown_plans ADD CONSTRAINT lockdown_plans_trigger_group_fk
  FOREIGN KEY (org_id, trigger_group_id) REFERENCES user_groups (org_id, id)
  ON DELETE SET NULL (trigger_group_id);
ALTER TABLE lockdown_plans ADD CONSTRAINT lockdown_plans_release_group_fk
  FOREIGN KEY (org_id, release_group_id) REFERENCES user_groups (org_id, id)
  ON DELETE SET NULL (release_group_id);
ALTER TABLE lockdowns ADD CONSTRAINT lockdowns_plan_fk
  FOREIGN KEY (org_id, plan_id) REFERENCES lockdown_plans (org_id, id);
ALTER TABLE lockdown_doors ADD CONSTRAINT lockdown_doors_lockdown_fk
  FOREIGN KEY (org_id, lockdown_id) REFERENCES lockdowns (org_id, id) ON DELETE CASCADE;
ALTER TABLE lockdown_doors ADD CONSTRAINT lockdown_doors_door_fk
  FOREIGN KEY (org_id, door_id) REFERENCES doors (org_id, id) ON DELETE CASCADE;
ALTER TABLE presences ADD CONSTRAINT presences_area_fk
  FOREIGN KEY (org_id, area_id) REFERENCES areas (org_id, id) ON DELETE CASCADE;
ALTER TABLE presences ADD CONSTRAINT presences_user_fk
  FOREIGN KEY (org_id, user_id) REFERENCES users (org_id, id) ON DELETE CASCADE;
ALTER TABLE presences ADD CONSTRAINT presences_door_fk
  FOREIGN KEY (org_id, door_id) REFERENCES doors (org_id, id) ON DELETE SET NULL (door_id);
ALTER TABLE credentials ADD CONSTRAINT credentials_user_fk
  FOREIGN KEY (org_id, user_id) REFERENCES users (org_id, id) ON DELETE CASCADE;
ALTER TABLE visits ADD CONSTRAINT visits_host_fk
  FOREIGN KEY (org_id, host_id) REFERENCES users (org_id, id) ON DELETE CASCADE;
ALTER TABLE visits ADD CONSTRAINT visits_site_fk
  FOREIGN KEY (org_id, site_id) REFERENCES sites (org_id, id) ON DELETE CASCADE;
ALTER TABLE visits ADD CONSTRAINT visits_key_fk
  FOREIGN KEY (org_id, key_id) REFERENCES keys (org_id, id) ON DELETE CASCADE;

-- A key has one holder at most, and each target is one thing.
ALTER TABLE keys ADD CONSTRAINT keys_holder CHECK (num_nonnulls(user_id, user_group_id) <= 1);
ALTER TABLE keys ADD CONSTRAINT keys_uses CHECK (uses_left IS NULL OR uses_left <= uses);
ALTER TABLE key_targets ADD CONSTRAINT key_targets_one
  CHECK (num_nonnulls(door_id, door_group_id, site_id) = 1);
ALTER TABLE user_groups ADD CONSTRAINT user_groups_not_own_parent CHECK (parent_id <> id);
ALTER TABLE door_groups ADD CONSTRAINT door_groups_not_own_parent CHECK (parent_id <> id);

-- From a door, a group of doors or a site to whoever has a key, in the order of the pages; and back.
CREATE INDEX key_target_people ON key_targets
  (org_id, (COALESCE(door_id, door_group_id, site_id)), user_id);
CREATE INDEX key_target_groups ON key_targets
  (org_id, (COALESCE(door_id, door_group_id, site_id)), user_group_id)
  WHERE user_group_id IS NOT NULL;
CREATE INDEX key_target_holder ON key_targets (org_id, (COALESCE(user_id, user_group_id)), key_id);

-- Doors that stand open for everybody, whoever has a key: by their mode, or by a schedule.
CREATE INDEX door_unlocked ON doors (org_id, id)
  WHERE mode = 'UNLOCKED' OR override_mode = 'UNLOCKED';
CREATE INDEX door_unlocks_by ON doors (org_id, unlock_schedule_id, site_id, id)
  WHERE unlock_schedule_id IS NOT NULL;

-- A link is looked up before its organization is known.
CREATE INDEX key_link ON keys (link_hash) WHERE link_hash IS NOT NULL;
CREATE INDEX user_group_name_search ON user_groups USING gin (name gin_trgm_ops);
CREATE INDEX door_group_name_search ON door_groups USING gin (name gin_trgm_ops);
