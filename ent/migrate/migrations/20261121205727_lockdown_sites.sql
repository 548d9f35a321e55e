-- Modify "lockdowns" table
ALTER TABLE "lockdowns" ADD COLUMN "site_ids" jsonb NOT NULL DEFAULT '[]';

-- What lockdowns before this one touched is taken to be the sites that their plans list.
SELECT set_config('cardea.organization', 'ffffffff-ffff-ffff-ffff-ffffffffffff', true);
UPDATE lockdowns l SET site_ids = p.site_ids FROM lockdown_plans p
WHERE p.org_id = l.org_id AND p.id = l.plan_id AND jsonb_typeof(p.site_ids) = 'array';
ALTER TABLE "lockdowns" ALTER COLUMN "site_ids" DROP DEFAULT;
