/*
 * Make a random store, or change one as people and programs do.
 *
 *	store_maker SEED STATE OUTSIDE PHASE
 *
 * Phase 0 makes it in STATE, which must not be there, and OUTSIDE, for files
 * outside the store that are hard links to some in it. Later phases change it:
 * links, names, leases, snapshots, blobs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "store/embedded/lease.h"
#include "store/embedded/snapshot.h"
#include "store/graph/graph.h"
#include "tests/lib/maker.h"

static void lease_resource(struct maker *maker, const char *id)
{
	struct maker_paths blobs = { .paths = NULL };
	struct ul_snapshots snapshots = UL_SNAPSHOTS_INIT;
	struct ul_err err = UL_ERR_INIT;
	char key[UL_DIGEST_TEXT_MAX];
	json_t *entries = maker_entries(maker);
	const char *name = NULL;
	json_t *entry;
	int rc = 0;

	maker_list(maker, "oci/blobs/sha256", &blobs, NULL);
	if (ul_snapshots_load(maker->store, &snapshots, &err))
		maker_die("%s", err.msg);
	entry = json_array_get(entries,
			       maker_below(maker, json_array_size(entries)));
	name = json_string_value(
	    json_object_get(json_object_get(entry, "annotations"),
			    "org.opencontainers.image.ref.name"));
	switch (maker_below(maker, 3)) {
	case 0:
		if (!blobs.len)
			break;
		snprintf(
		    key, sizeof key, "sha256:%.64s",
		    strrchr(blobs.paths[maker_below(maker, blobs.len)], '/') +
			1);
		rc = ul_lease_add(maker->store, id, UL_KIND_BLOB, key, &err);
		break;
	case 1:
		if (snapshots.len)
			rc = ul_lease_add(
			    maker->store, id, UL_KIND_SNAPSHOT,
			    snapshots
				.snapshots[maker_below(maker, snapshots.len)]
				.key,
			    &err);
		break;
	default:
		if (name)
			rc = ul_lease_add(maker->store, id, UL_KIND_IMAGE, name,
					  &err);
	}
	if (rc && rc != UL_E_INVALID)
		maker_die("%s", err.msg);
	maker_paths_release(&blobs);
	ul_snapshots_release(&snapshots);
	json_decref(entries);
}

static void make_leases(struct maker *maker, size_t count)
{
	struct ul_err err = UL_ERR_INIT;
	size_t i, n;
	char id[32];

	for (i = 0; i < count; i++) {
		struct ul_lease lease = { .id = id };

		snprintf(id, sizeof id, "lease-%u-%zu", maker->phase, i);
		lease.created_unix_s = ul_clock_unix_s();
		lease.is_flat = maker_chance(maker, 40);
		if (maker_chance(maker, 25))
			lease.expire_unix_s = lease.created_unix_s - 1;
		if (ul_lease_create(maker->store, &lease, &err))
			maker_die("%s", err.msg);
		for (n = 1 + maker_below(maker, 3); n; n--)
			lease_resource(maker, id);
	}
}

static void drop_lease(struct maker *maker)
{
	struct ul_leases leases = UL_LEASES_INIT;
	struct ul_err err = UL_ERR_INIT;

	if (ul_leases_load(maker->store, &leases, &err))
		maker_die("%s", err.msg);
	if (leases.len &&
	    ul_lease_delete(maker->store,
			    leases.leases[maker_below(maker, leases.len)].id,
			    &err))
		maker_die("%s", err.msg);
	ul_leases_release(&leases);
}

static void make(struct maker *maker)
{
	maker_images(maker);
	maker_stray_blobs(maker);
	maker_snapshots(maker);
	if (maker_chance(maker, 70))
		maker_links(maker);
	make_leases(maker, maker_below(maker, 4));
	if (maker_chance(maker, 60))
		maker_foreign(maker);
}

static void change(struct maker *maker)
{
	if (maker_chance(maker, 80))
		maker_links(maker);
	if (maker_chance(maker, 50))
		maker_edit_index(maker);
	if (maker_chance(maker, 50))
		maker_stray_blobs(maker);
	if (maker_chance(maker, 60))
		maker_snapshot_work(maker);
	if (maker_chance(maker, 30))
		drop_lease(maker);
	make_leases(maker, maker_below(maker, 2));
	if (maker_chance(maker, 30))
		maker_foreign(maker);
}

int main(int argc, char **argv)
{
	struct maker maker = { .counter = 0 };
	struct ul_err err = UL_ERR_INIT;

	if (argc != 5)
		maker_die("usage: store_maker SEED STATE OUTSIDE PHASE");
	maker.state = argv[2];
	maker.outside = argv[3];
	maker.phase = (unsigned)atoi(argv[4]);
	maker.random = strtoull(argv[1], NULL, 10) * 1000003 + maker.phase;
	if (!maker.phase) {
		maker_dir(maker.outside);
		maker_dir(maker.state);
	}
	if (ul_embedded_open(maker.state, &maker.store, &err) ||
	    ul_embedded_lock(maker.store, &err))
		maker_die("%s", err.msg);
	if (maker.phase)
		change(&maker);
	else
		make(&maker);
	ul_embedded_unlock(maker.store);
	ul_embedded_closep(&maker.store);
	return 0;
}
