-- Every reference stays within its organization: the foreign keys carry org_id.
ALTER TABLE journal_heads ADD CONSTRAINT journal_heads_org_fk
  FOREIGN KEY (org_id) REFERENCES organizations (id);
ALTER TABLE webhook_cursors ADD CONSTRAINT webhook_cursors_org_fk
  FOREIGN KEY (org_id) REFERENCES organizations (id);
ALTER TABLE events ADD CONSTRAINT events_org_fk
  FOREIGN KEY (org_id) REFERENCES organizations (id);
ALTER TABLE users ADD CONSTRAINT users_org_fk
  FOREIGN KEY (org_id) REFERENCES organizations (id);
ALTER TABLE webhook_endpoints ADD CONSTRAINT webhook_endpoints_org_fk
  FOREIGN KEY (org_id) REFERENCES organizations (id);
ALTER TABLE sites ADD CONSTRAINT sites_org_fk
  FOREIGN KEY (org_id) REFERENCES organizations (id);
ALTER TABLE devices ADD CONSTRAINT devices_site_fk
  FOREIGN KEY (org_id, site_id) REFERENCES sites (org_id, id);
ALTER TABLE doors ADD CONSTRAINT doors_site_fk
  FOREIGN KEY (org_id, site_id) REFERENCES sites (org_id, id);
ALTER TABLE doors ADD CONSTRAINT doors_device_fk
  FOREIGN KEY (org_id, device_id) REFERENCES devices (org_id, id)
  ON DELETE SET NULL (device_id);
ALTER TABLE keys ADD CONSTRAINT keys_user_fk
  FOREIGN KEY (org_id, user_id) REFERENCES users (org_id, id) ON DELETE CASCADE;
ALTER TABLE keys ADD CONSTRAINT keys_site_fk
  FOREIGN KEY (org_id, site_id) REFERENCES sites (org_id, id) ON DELETE CASCADE;
ALTER TABLE key_doors ADD CONSTRAINT key_doors_key_fk
  FOREIGN KEY (org_id, key_id) REFERENCES keys (org_id, id) ON DELETE CASCADE;
ALTER TABLE key_doors ADD CONSTRAINT key_doors_door_fk
  FOREIGN KEY (org_id, door_id) REFERENCES doors (org_id, id) ON DELETE CASCADE;
ALTER TABLE api_tokens ADD CONSTRAINT api_tokens_user_fk
  FOREIGN KEY (org_id, user_id) REFERENCES users (org_id, id) ON DELETE CASCADE;
ALTER TABLE commands ADD CONSTRAINT commands_door_fk
  FOREIGN KEY (org_id, door_id) REFERENCES doors (org_id, id) ON DELETE CASCADE;
ALTER TABLE commands ADD CONSTRAINT commands_device_fk
  FOREIGN KEY (org_id, device_id) REFERENCES devices (org_id, id) ON DELETE SET NULL (device_id);
ALTER TABLE webhook_deliveries ADD CONSTRAINT webhook_deliveries_endpoint_fk
  FOREIGN KEY (org_id, endpoint_id) REFERENCES webhook_endpoints (org_id, id) ON DELETE CASCADE;
ALTER TABLE webhook_attempts ADD CONSTRAINT webhook_attempts_delivery_fk
  FOREIGN KEY (org_id, delivery_id) REFERENCES webhook_deliveries (org_id, id) ON DELETE CASCADE;

-- A door is bound to a port of its device.
ALTER TABLE doors ADD CONSTRAINT doors_binding CHECK (device_id IS NULL OR device_port IS NOT NULL);

-- The search arguments match anywhere in a name.
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE INDEX site_name_search ON sites USING gin (name gin_trgm_ops);
CREATE INDEX door_name_search ON doors USING gin (name gin_trgm_ops);
CREATE INDEX user_name_search ON users USING gin (name gin_trgm_ops);
CREATE INDEX user_email_search ON users USING gin (email gin_trgm_ops);
