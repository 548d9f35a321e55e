-- The second fence: Postgres itself keeps organizations apart, whatever a statement says.
--
-- cardea.organization is for whom a statement is sent: an organization's UUID; the greatest UUID for
-- the parts of the system that act for all of them; unset or empty for nobody. ent/pool sets it.
--
-- The planner takes IS NOT NULL for true of nearly every row, and so goes on choosing by what the
-- statement itself says. The SELECT makes it ask for the setting once a statement.

-- wall puts a table behind the fence. Each migration that creates a table calls it: with NULL for one
-- of no organization, which is for the parts of the system that act for all.
CREATE OR REPLACE FUNCTION wall(fenced regclass, organization name DEFAULT 'org_id') RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', fenced);
  EXECUTE format($policy$
    CREATE POLICY fence ON %s USING (
      CASE (SELECT nullif(current_setting('cardea.organization', true), '')::uuid)
        WHEN %s THEN true
        WHEN 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid THEN true
      END IS NOT NULL)
    $policy$, fenced, coalesce(quote_ident(organization), 'NULL::uuid'));
END $$;

SELECT wall(t.oid, CASE WHEN relname = 'organizations' THEN 'id' WHEN EXISTS (
  SELECT FROM pg_attribute WHERE attrelid = t.oid AND attname = 'org_id') THEN 'org_id' END)
FROM pg_class t WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
  AND relname <> 'schema_migrations';

-- Behind a policy, an index serves only conditions that cannot tell what they see, and COALESCE is not
-- held to be one: what a key opens, and for whom, are columns instead.
ALTER TABLE key_targets
  ADD COLUMN target uuid GENERATED ALWAYS AS (COALESCE(door_id, door_group_id, site_id)) STORED,
  ADD COLUMN holder uuid GENERATED ALWAYS AS (COALESCE(user_id, user_group_id)) STORED;
DROP INDEX key_target_people, key_target_groups, key_target_holder;
CREATE INDEX key_target_people ON key_targets (org_id, target, user_id);
CREATE INDEX key_target_groups ON key_targets (org_id, target, user_group_id)
  WHERE user_group_id IS NOT NULL;
CREATE INDEX key_target_holder ON key_targets (org_id, holder, key_id);
