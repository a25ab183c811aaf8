-- When the service last began what the configuration wants done at times, by
-- the name it has in the log ("gc embedded"): what was missed while it did not
-- run is done once when it does.
CREATE TABLE job (
	name TEXT PRIMARY KEY NOT NULL CHECK (name <> ''),
	begun_unix_s INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
