-- Why an operator holds a tenant, apart from what its owner wants: when the
-- operator lets it go, the owner's wish is still there.
ALTER TABLE tenants ADD COLUMN suspended text CHECK (length(suspended) <= 500);
