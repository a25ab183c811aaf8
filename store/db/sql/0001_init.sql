-- The record of one installation. Text forms are those of the command line
-- and of JSON; every number carries its unit. docs/database.md explains it.

-- One row: the random id of this database. What it moves to a trash says so,
-- since another database's runs have the same numbers.
CREATE TABLE meta (
	id INTEGER PRIMARY KEY CHECK (id = 1),
	uid TEXT NOT NULL CHECK (length(uid) = 32)
) STRICT;
INSERT INTO meta VALUES (1, lower(hex(randomblob(16))));

CREATE TABLE store (
	id INTEGER PRIMARY KEY,
	kind TEXT NOT NULL
		CHECK (kind IN ('embedded', 'oci', 'containerd', 'docker')),
	path TEXT NOT NULL,
	store_uid TEXT NOT NULL DEFAULT '',
	generation INTEGER NOT NULL DEFAULT 0,
	scanned_unix_s INTEGER NOT NULL DEFAULT 0,
	walked_unix_s INTEGER NOT NULL DEFAULT 0,
	residual_bytes INTEGER NOT NULL DEFAULT 0,
	UNIQUE (kind, path)
) STRICT;

-- Objects of one kind in one namespace.
CREATE TABLE scope (
	id INTEGER PRIMARY KEY,
	store INTEGER NOT NULL REFERENCES store ON DELETE CASCADE,
	kind TEXT NOT NULL CHECK (kind IN ('image', 'blob', 'snapshot', 'lease',
		'container', 'sandbox', 'ingest', 'file')),
	namespace TEXT NOT NULL DEFAULT '',
	snapshotter TEXT NOT NULL DEFAULT '',
	UNIQUE (store, kind, namespace, snapshotter)
) STRICT;

-- What descriptors say of many objects, by number.
CREATE TABLE type (
	store INTEGER NOT NULL REFERENCES store ON DELETE CASCADE,
	id INTEGER NOT NULL,
	media_type TEXT NOT NULL,
	artifact_type TEXT NOT NULL,
	platform TEXT NOT NULL,
	PRIMARY KEY (store, id)
) STRICT, WITHOUT ROWID;

-- Anything that refers or is referred to. All of these rows are read by each
-- command, so they have few columns: each costs a tenth of the row.
CREATE TABLE object (
	id INTEGER PRIMARY KEY,
	scope INTEGER NOT NULL REFERENCES scope ON DELETE CASCADE,
	key TEXT NOT NULL,
	-- Bits and numbers, read at once; each has its column below.
	facts INTEGER NOT NULL DEFAULT 0
		CHECK (facts >= 0 AND facts & 192 != 192),
	diff_id TEXT NOT NULL DEFAULT '',
	length_bytes INTEGER NOT NULL DEFAULT 0,
	reachable_unix_s INTEGER NOT NULL DEFAULT 0,
	kept_by INTEGER REFERENCES object ON DELETE SET NULL,
	is_present INTEGER GENERATED ALWAYS AS (facts & 1) VIRTUAL,
	is_reachable INTEGER GENERATED ALWAYS AS (facts >> 1 & 1) VIRTUAL,
	is_known INTEGER GENERATED ALWAYS AS (facts >> 2 & 1) VIRTUAL,
	is_released INTEGER GENERATED ALWAYS AS (facts >> 3 & 1) VIRTUAL,
	is_named INTEGER GENERATED ALWAYS AS (facts >> 4 & 1) VIRTUAL,
	is_attestation INTEGER GENERATED ALWAYS AS (facts >> 5 & 1) VIRTUAL,
	-- 0: not looked at, 1: references known, 2: has none (opaque)
	content INTEGER GENERATED ALWAYS AS (facts >> 6 & 3) VIRTUAL,
	-- Of `word` and `type`; -1 for none.
	kept_reason INTEGER
		GENERATED ALWAYS AS ((facts >> 8 & 0x7ffffff) - 1) VIRTUAL,
	type INTEGER GENERATED ALWAYS AS ((facts >> 35) - 1) VIRTUAL,
	-- What it refers to, packed (store/db/refs.h): nothing that is referred
	-- to may go, which saving a record sees to. Last: may be long.
	refs BLOB NOT NULL DEFAULT x'',
	UNIQUE (scope, key)
) STRICT;
CREATE INDEX object_kept_by ON object (kept_by) WHERE kept_by IS NOT NULL;

-- Reasons of references, by number.
CREATE TABLE word (
	store INTEGER NOT NULL REFERENCES store ON DELETE CASCADE,
	id INTEGER NOT NULL,
	text TEXT NOT NULL,
	PRIMARY KEY (store, id)
) STRICT, WITHOUT ROWID;

-- What an image config says.
CREATE TABLE config (
	object INTEGER PRIMARY KEY REFERENCES object ON DELETE CASCADE,
	created_unix_s INTEGER NOT NULL,
	diff_ids TEXT NOT NULL,
	labels TEXT NOT NULL
) STRICT;

-- The measured file or directory under a record.
CREATE TABLE measure (
	object INTEGER PRIMARY KEY REFERENCES object ON DELETE CASCADE,
	dev INTEGER NOT NULL,
	ino INTEGER NOT NULL,
	ctime_ns INTEGER NOT NULL,
	allocated_bytes INTEGER NOT NULL,
	unpacked_bytes INTEGER NOT NULL,
	measured_unix_s INTEGER NOT NULL,
	agreed INTEGER NOT NULL DEFAULT 0 CHECK (agreed IN (0, 1))
) STRICT;

-- Its inodes that have links elsewhere.
CREATE TABLE measure_link (
	object INTEGER NOT NULL REFERENCES object ON DELETE CASCADE,
	dev INTEGER NOT NULL,
	ino INTEGER NOT NULL,
	nlink INTEGER NOT NULL,
	seen INTEGER NOT NULL,
	in_split INTEGER NOT NULL CHECK (in_split IN (0, 1)),
	allocated_bytes INTEGER NOT NULL,
	PRIMARY KEY (object, dev, ino)
) STRICT, WITHOUT ROWID;

-- Every name ever seen; vanished_unix_s is 0 while it is there.
CREATE TABLE name (
	store INTEGER NOT NULL REFERENCES store ON DELETE CASCADE,
	namespace TEXT NOT NULL DEFAULT '',
	name TEXT NOT NULL,
	digest TEXT NOT NULL,
	entry TEXT NOT NULL DEFAULT '',
	seen_unix_s INTEGER NOT NULL,
	vanished_unix_s INTEGER NOT NULL DEFAULT 0,
	is_ours INTEGER NOT NULL DEFAULT 0 CHECK (is_ours IN (0, 1)),
	PRIMARY KEY (store, namespace, name)
) STRICT, WITHOUT ROWID;

-- Digests that were named once: a nameless entry of one is "dangling".
CREATE TABLE named (
	store INTEGER NOT NULL REFERENCES store ON DELETE CASCADE,
	digest TEXT NOT NULL,
	PRIMARY KEY (store, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE used (
	store INTEGER NOT NULL REFERENCES store ON DELETE CASCADE,
	namespace TEXT NOT NULL DEFAULT '',
	digest TEXT NOT NULL,
	used_unix_s INTEGER NOT NULL,
	PRIMARY KEY (store, namespace, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE pin (
	store INTEGER NOT NULL REFERENCES store ON DELETE CASCADE,
	name TEXT NOT NULL,
	pinned_unix_s INTEGER NOT NULL,
	PRIMARY KEY (store, name)
) STRICT, WITHOUT ROWID;

-- Leases and snapshots of the embedded store: here is their only record.
CREATE TABLE lease (
	store INTEGER NOT NULL REFERENCES store ON DELETE CASCADE,
	id TEXT NOT NULL,
	created_unix_s INTEGER NOT NULL,
	expire_unix_s INTEGER NOT NULL DEFAULT 0,
	is_flat INTEGER NOT NULL DEFAULT 0 CHECK (is_flat IN (0, 1)),
	labels TEXT NOT NULL DEFAULT '{}',
	PRIMARY KEY (store, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE lease_resource (
	store INTEGER NOT NULL,
	lease TEXT NOT NULL,
	kind TEXT NOT NULL CHECK (kind IN ('blob', 'snapshot', 'image')),
	key TEXT NOT NULL,
	PRIMARY KEY (store, lease, kind, key),
	FOREIGN KEY (store, lease) REFERENCES lease ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE snapshot (
	store INTEGER NOT NULL REFERENCES store ON DELETE CASCADE,
	key TEXT NOT NULL,
	parent TEXT NOT NULL DEFAULT '',
	kind TEXT NOT NULL CHECK (kind IN ('active', 'view', 'committed')),
	is_unpacked INTEGER NOT NULL DEFAULT 0 CHECK (is_unpacked IN (0, 1)),
	labels TEXT NOT NULL DEFAULT '{}',
	created_unix_s INTEGER NOT NULL,
	PRIMARY KEY (store, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX snapshot_parent ON snapshot (store, parent);

-- Every collection, what it was to do and what it did.
CREATE TABLE run (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	store INTEGER NOT NULL REFERENCES store ON DELETE CASCADE,
	command TEXT NOT NULL,
	plan TEXT NOT NULL,
	state TEXT NOT NULL
		CHECK (state IN ('running', 'done', 'failed', 'undone')),
	started_unix_s INTEGER NOT NULL,
	seconds REAL NOT NULL DEFAULT 0,
	planned_bytes INTEGER NOT NULL DEFAULT 0,
	freed_bytes INTEGER NOT NULL DEFAULT 0,
	trashed_bytes INTEGER NOT NULL DEFAULT 0,
	overhead_delta_bytes INTEGER NOT NULL DEFAULT 0,
	removed INTEGER NOT NULL DEFAULT 0,
	declined INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE run_item (
	run INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
	ordinal INTEGER NOT NULL,
	action TEXT NOT NULL CHECK (action IN ('remove', 'collect', 'decline')),
	kind TEXT NOT NULL,
	namespace TEXT NOT NULL DEFAULT '',
	snapshotter TEXT NOT NULL DEFAULT '',
	key TEXT NOT NULL,
	allocated_bytes INTEGER NOT NULL DEFAULT 0,
	reason TEXT NOT NULL DEFAULT '',
	PRIMARY KEY (run, ordinal)
) STRICT, WITHOUT ROWID;

-- The last report's figures an image (one row a digest and namespace).
CREATE TABLE image_report (
	store INTEGER NOT NULL REFERENCES store ON DELETE CASCADE,
	namespace TEXT NOT NULL DEFAULT '',
	digest TEXT NOT NULL,
	names TEXT NOT NULL,
	packed_bytes INTEGER NOT NULL,
	unpacked_bytes INTEGER NOT NULL,
	allocated_bytes INTEGER NOT NULL,
	unique_bytes INTEGER NOT NULL,
	containers INTEGER NOT NULL,
	created_unix_s INTEGER NOT NULL,
	PRIMARY KEY (store, namespace, digest)
) STRICT, WITHOUT ROWID;

-- Public views: columns are added, never renamed.
CREATE VIEW image_usage AS
SELECT s.kind AS store_kind, s.path AS store_path, r.namespace, r.digest,
	r.names, r.packed_bytes, r.unpacked_bytes, r.allocated_bytes,
	r.allocated_bytes - r.unique_bytes AS shared_bytes, r.unique_bytes,
	r.containers, r.created_unix_s,
	coalesce(u.used_unix_s, 0) AS used_unix_s
FROM image_report r JOIN store s ON s.id = r.store
LEFT JOIN used u ON u.store = r.store AND u.namespace = r.namespace
	AND u.digest = r.digest;

CREATE VIEW blob_usage AS
SELECT s.kind AS store_kind, s.path AS store_path, c.namespace,
	o.key AS digest, coalesce(t.media_type, '') AS media_type, o.diff_id,
	o.length_bytes, coalesce(m.allocated_bytes, 0) AS allocated_bytes,
	o.is_present, o.is_reachable, o.reachable_unix_s
FROM object o JOIN scope c ON c.id = o.scope JOIN store s ON s.id = c.store
LEFT JOIN type t ON t.store = s.id AND t.id = o.type
LEFT JOIN measure m ON m.object = o.id
WHERE c.kind = 'blob';

CREATE VIEW snapshot_usage AS
SELECT s.kind AS store_kind, s.path AS store_path, c.namespace,
	c.snapshotter, o.key, coalesce(m.unpacked_bytes, 0) AS unpacked_bytes,
	coalesce(m.allocated_bytes, 0) AS allocated_bytes, o.is_present,
	o.is_reachable, coalesce(m.measured_unix_s, 0) AS measured_unix_s
FROM object o JOIN scope c ON c.id = o.scope JOIN store s ON s.id = c.store
LEFT JOIN measure m ON m.object = o.id
WHERE c.kind = 'snapshot';

CREATE VIEW why_kept AS
SELECT s.kind AS store_kind, s.path AS store_path, c.namespace, c.kind,
	c.snapshotter, o.key, o.is_reachable AS is_held,
	coalesce(kc.kind, '') AS kept_by_kind,
	coalesce(k.key, '') AS kept_by_key,
	coalesce(w.text, '') AS kept_reason
FROM object o JOIN scope c ON c.id = o.scope JOIN store s ON s.id = c.store
LEFT JOIN object k ON k.id = o.kept_by LEFT JOIN scope kc ON kc.id = k.scope
LEFT JOIN word w ON w.store = s.id AND w.id = o.kept_reason;

CREATE VIEW collection_runs AS
SELECT r.id AS run, s.kind AS store_kind, s.path AS store_path, r.command,
	r.plan, r.state, r.started_unix_s, r.seconds, r.planned_bytes,
	r.freed_bytes, r.trashed_bytes, r.overhead_delta_bytes, r.removed,
	r.declined
FROM run r JOIN store s ON s.id = r.store;
