-- An organization that is imported comes with its rows as they are, by identifier: a part may come before
-- its whole. So these are checked at the end of a transaction that asks for it; of any other, at once.
ALTER TABLE user_groups ALTER CONSTRAINT user_groups_parent_fk DEFERRABLE INITIALLY IMMEDIATE;
ALTER TABLE door_groups ALTER CONSTRAINT door_groups_parent_fk DEFERRABLE INITIALLY IMMEDIATE;
ALTER TABLE keys ALTER CONSTRAINT keys_parent_fk DEFERRABLE INITIALLY IMMEDIATE;
