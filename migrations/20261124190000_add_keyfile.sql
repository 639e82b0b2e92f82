-- A node's keys sealed with its password, for clients that expect them in
-- answer to a login. Made some time after the password is set: empty till then.
ALTER TABLE tenants ADD COLUMN keyfile bytea NOT NULL DEFAULT '';
