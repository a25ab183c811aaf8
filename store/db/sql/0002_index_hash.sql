-- What the index said when the store was last scanned: where its hash is still
-- the same, the images that stand in it are those with is_named. 0: unknown.
ALTER TABLE store ADD COLUMN index_hash INTEGER NOT NULL DEFAULT 0;
