/*
 * bench_load - a store's record from SQLite into memory, and one image more.
 *
 * bench_load [--nodes N] [--refs N] [--seed N] SCRATCH
 * The database is made in a new folder: a million objects with keys like
 * digests, five references each on average, to any other. "load" is what every
 * command does first; "graph" makes the rows of the reference graph of it.
 * "add" records an image of a hundred references to objects that are there,
 * durably. The limit is LMDB (where it was found at build time): numbers and
 * rows of references only, no keys, read into the same rows; "fsync" is the
 * limit of the addition: as many bytes written to a file, and synced. Five
 * runs each, alternating, medians, in memory. Prints one JSON line.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef HAS_LMDB
#include <lmdb.h>
#endif

#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "bench/bench.h"
#include "store/db/db.h"
#include "store/db/record.h"
#include "store/graph/builder.h"

enum { IMAGE_REFS = 100, REFS_MAX = 64, WAL_PAGE_BYTES = 4096 };

static const char kind[] = "embedded", path[] = "/bench";

static void check(int rc, const struct ul_err *err)
{
	if (rc)
		bench_fail("%s", err->msg);
}

static uint32_t object_add(struct ul_record *record, uint8_t object_kind,
			   uint64_t number)
{
	char key[80];
	uint32_t at;

	snprintf(key, sizeof key,
		 "sha256:%016" PRIx64 "%016" PRIx64 "%016" PRIx64 "%016" PRIx64,
		 number * 0x9e3779b97f4a7c15, number, number ^ 0x5555,
		 number * 3);
	at = ul_record_object(record, object_kind, "", "", key);
	if (at == UL_OBJECT_NONE)
		bench_fail("out of memory");
	record->objects[at].is_present = true;
	record->objects[at].content = UL_CONTENT_REFS;
	return at;
}

static void refs_set(struct ul_record *record, uint32_t at, uint32_t count,
		     uint32_t among)
{
	struct ul_object_ref refs[IMAGE_REFS];
	char reason[32];
	uint32_t i;

	for (i = 0; i < count; i++) {
		snprintf(reason, sizeof reason, "layer %u", i);
		refs[i] = (struct ul_object_ref){
			.target = bench_random_below(among),
			.kind = UL_REF_FORWARD,
			.reason = ul_record_text(record, reason),
		};
	}
	if (!ul_record_set_refs(record, at, refs, count))
		bench_fail("out of memory");
}

static void database_make(const char *file, uint32_t nodes, uint64_t refs)
{
	ul_cleanup(ul_record_release) struct ul_record record = UL_RECORD_INIT;
	ul_cleanup(ul_db_closep) struct ul_db *db = NULL;
	struct ul_err err = UL_ERR_INIT;
	uint32_t i, count;

	check(ul_db_open(file, UL_DB_WRITE, &db, &err), &err);
	check(ul_record_load(db, kind, path, &record, &err), &err);
	for (i = 0; i < nodes; i++)
		object_add(&record, UL_KIND_BLOB, i);
	for (i = 0; i < nodes; i++) {
		/* 0 to twice the mean. */
		count = bench_random_below((uint32_t)(2 * refs / nodes) + 1);
		refs_set(&record, i, count < REFS_MAX ? count : REFS_MAX,
			 nodes);
	}
	check(ul_record_save(db, kind, path, &record, &err), &err);
}

/* Records that are loaded, and how long it took. */
static int64_t load(const char *file, struct ul_db **ret_db,
		    struct ul_record *ret)
{
	struct ul_err err = UL_ERR_INIT;
	int64_t start = ul_clock_mono_ns();

	check(ul_db_open(file, UL_DB_WRITE, ret_db, &err), &err);
	check(ul_record_load(*ret_db, kind, path, ret, &err), &err);
	return ul_clock_mono_ns() - start;
}

static void graph_add(struct ul_graph_builder *builder,
		      const struct ul_record *record)
{
	uint32_t at, i;

	for (at = 0; at < record->object_count; at++) {
		const struct ul_object *object = &record->objects[at];

		if (ul_graph_add_node(builder, object->kind, NULL, NULL,
				      object->key, false) != at)
			bench_fail("the graph has other numbers");
	}
	for (at = 0; at < record->object_count; at++) {
		const struct ul_object *object = &record->objects[at];
		const struct ul_object_ref *refs =
		    record->refs + object->first_ref;

		for (i = 0; i < object->ref_count; i++)
			ul_graph_add_ref(builder, at, refs[i].target,
					 refs[i].kind, refs[i].reason);
	}
}

/* As a scan makes it, without the files. */
static int64_t graph_make(const struct ul_record *record)
{
	ul_cleanup(ul_graph_release) struct ul_graph graph = UL_GRAPH_INIT;
	struct ul_graph_builder *builder;
	struct ul_err err = UL_ERR_INIT;
	int64_t start = ul_clock_mono_ns();

	builder = ul_graph_builder_new();
	if (!builder)
		bench_fail("out of memory");
	graph_add(builder, record);
	check(ul_graph_builder_finish(builder, &graph, &err), &err);
	start = ul_clock_mono_ns() - start;
	ul_graph_builder_free(builder);
	return start;
}

/* One image of a hundred references, durable when it returns. */
static int64_t image_add(struct ul_db *db, struct ul_record *record,
			 uint32_t nodes, uint64_t number)
{
	struct ul_err err = UL_ERR_INIT;
	int64_t start = ul_clock_mono_ns();
	uint32_t at = object_add(record, UL_KIND_BLOB, number);

	refs_set(record, at, IMAGE_REFS, nodes);
	check(ul_record_save(db, kind, path, record, &err), &err);
	return ul_clock_mono_ns() - start;
}

static off_t file_len(const char *file)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	off_t len = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);

	if (fd >= 0)
		close(fd);
	return len;
}

/* As many bytes at the end of a file, and synced. */
static int64_t bytes_add(const char *file, size_t len)
{
	struct ul_err err = UL_ERR_INIT;
	char *bytes = calloc(1, len);
	int64_t start = ul_clock_mono_ns();
	int fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	if (fd < 0 || !bytes || ul_fd_write_all(fd, bytes, len, &err) ||
	    fdatasync(fd))
		bench_fail("cannot write %s", file);
	start = ul_clock_mono_ns() - start;
	close(fd);
	free(bytes);
	return start;
}

#ifdef HAS_LMDB
static void lmdb_check(int rc)
{
	if (rc)
		bench_fail("LMDB: %s", mdb_strerror(rc));
}

static MDB_env *lmdb_open(const char *file, unsigned flags, MDB_txn **ret_txn,
			  MDB_dbi *ret_dbi)
{
	MDB_env *env;

	lmdb_check(mdb_env_create(&env));
	lmdb_check(mdb_env_set_mapsize(env, (size_t)4 << 30));
	lmdb_check(mdb_env_open(env, file, MDB_NOSUBDIR | flags, 0600));
	lmdb_check(mdb_txn_begin(env, NULL, flags, ret_txn));
	lmdb_check(mdb_dbi_open(
	    *ret_txn, NULL, flags ? 0 : MDB_INTEGERKEY | MDB_CREATE, ret_dbi));
	return env;
}

static void lmdb_make(const char *file, const struct ul_record *record)
{
	MDB_txn *txn;
	MDB_dbi dbi;
	MDB_env *env = lmdb_open(file, 0, &txn, &dbi);
	uint32_t targets[REFS_MAX], at, i;

	for (at = 0; at < record->object_count; at++) {
		const struct ul_object *object = &record->objects[at];
		MDB_val key = { sizeof at, &at };
		MDB_val row = { object->ref_count * sizeof *targets, targets };

		for (i = 0; i < object->ref_count; i++)
			targets[i] = record->refs[object->first_ref + i].target;
		lmdb_check(mdb_put(txn, dbi, &key, &row, MDB_APPEND));
	}
	lmdb_check(mdb_txn_commit(txn));
	mdb_env_close(env);
}

static int64_t lmdb_load(const char *file, uint32_t nodes, size_t ref_count)
{
	int64_t start = ul_clock_mono_ns();
	uint32_t *first = malloc(((size_t)nodes + 1) * sizeof *first);
	uint32_t *to = malloc((ref_count + 1) * sizeof *to);
	uint32_t at = 0, used = 0;
	MDB_cursor *cursor;
	MDB_val key, row;
	MDB_txn *txn;
	MDB_dbi dbi;
	MDB_env *env = lmdb_open(file, MDB_RDONLY, &txn, &dbi);

	if (!first || !to)
		bench_fail("out of memory");
	lmdb_check(mdb_cursor_open(txn, dbi, &cursor));
	while (!mdb_cursor_get(cursor, &key, &row, MDB_NEXT)) {
		first[at++] = used;
		memcpy(to + used, row.mv_data, row.mv_size);
		used += (uint32_t)(row.mv_size / sizeof *to);
	}
	first[at] = used;
	if (at != nodes || used != ref_count)
		bench_fail("LMDB has something else");
	mdb_cursor_close(cursor);
	mdb_txn_abort(txn);
	mdb_env_close(env);
	start = ul_clock_mono_ns() - start;
	free(first);
	free(to);
	return start;
}
#else
static void lmdb_make(const char *file, const struct ul_record *record)
{
	(void)file;
	(void)record;
}

static int64_t lmdb_load(const char *file, uint32_t nodes, size_t ref_count)
{
	(void)file;
	(void)nodes;
	(void)ref_count;
	return 0;
}
#endif

struct times {
	int64_t load[BENCH_RUNS], graph[BENCH_RUNS], lmdb[BENCH_RUNS];
	int64_t add[BENCH_RUNS], fsync[BENCH_RUNS];
	size_t ref_count;
};

static void measure_load(const char *file, const char *lmdb,
			 struct times *times)
{
	int i;

	for (i = -1; i < BENCH_RUNS; i++) {
		ul_cleanup(ul_record_release) struct ul_record record =
		    UL_RECORD_INIT;
		ul_cleanup(ul_db_closep) struct ul_db *db = NULL;
		int at = i < 0 ? 0 : i;

		times->load[at] = load(file, &db, &record);
		times->graph[at] = graph_make(&record);
		times->ref_count = record.ref_count;
		if (i < 0)
			lmdb_make(lmdb, &record);
		times->lmdb[at] = lmdb_load(lmdb, (uint32_t)record.object_count,
					    record.ref_count);
	}
}

static void measure_add(const char *file, const char *other, uint32_t nodes,
			struct times *times)
{
	ul_cleanup(ul_record_release) struct ul_record record = UL_RECORD_INIT;
	ul_cleanup(ul_db_closep) struct ul_db *db = NULL;
	ul_cleanup(ul_freep) char *wal = bench_text("%s-wal", file);
	off_t before, after = 0;
	int i;

	load(file, &db, &record);
	for (i = -1; i < BENCH_RUNS; i++) {
		int at = i < 0 ? 0 : i;

		before = after;
		times->add[at] =
		    image_add(db, &record, nodes, (uint64_t)(nodes + 1 + i));
		after = file_len(wal);
		times->fsync[at] =
		    bytes_add(other, (size_t)(after > before ? after - before
							     : WAL_PAGE_BYTES));
	}
}

static void print(uint32_t nodes, struct times *times)
{
	double lmdb_s = bench_median_s(times->lmdb, BENCH_RUNS);

	printf("{\"bench\":\"load\",\"nodes\":%u,\"refs\":%zu,"
	       "\"load_s\":%.4f,\"graph_s\":%.4f,",
	       nodes, times->ref_count, bench_median_s(times->load, BENCH_RUNS),
	       bench_median_s(times->graph, BENCH_RUNS));
	if (lmdb_s > 0)
		printf("\"lmdb_s\":%.4f,", lmdb_s);
	else
		printf("\"lmdb_s\":null,");
	printf("\"add_ms\":%.3f,\"fsync_ms\":%.3f}\n",
	       bench_median_s(times->add, BENCH_RUNS) * 1e3,
	       bench_median_s(times->fsync, BENCH_RUNS) * 1e3);
}

static void run(const char *scratch, uint32_t nodes, uint64_t refs)
{
	ul_cleanup(ul_freep) char *top = bench_scratch(scratch);
	ul_cleanup(ul_freep) char *file = bench_text("%s/ullage.db", top);
	ul_cleanup(ul_freep) char *lmdb = bench_text("%s/lmdb", top);
	ul_cleanup(ul_freep) char *other = bench_text("%s/other", top);
	struct times times;

	database_make(file, nodes, refs);
	measure_load(file, lmdb, &times);
	measure_add(file, other, nodes, &times);
	print(nodes, &times);
	bench_remove(top);
}

int main(int argc, char **argv)
{
	uint64_t nodes = 1000000, refs = 5000000, seed = 1;
	int at;

	bench_name = "bench_load";
	for (at = 1; at + 1 < argc && argv[at][0] == '-'; at += 2) {
		uint64_t value = strtoull(argv[at + 1], NULL, 10);

		if (!strcmp(argv[at], "--nodes"))
			nodes = value;
		else if (!strcmp(argv[at], "--refs"))
			refs = value;
		else if (!strcmp(argv[at], "--seed"))
			seed = value;
		else
			break;
	}
	if (argc - at != 1 || argv[at][0] == '-' || !nodes ||
	    nodes > UINT32_MAX / 2) {
		fputs("usage: bench_load [--nodes N] [--refs N] [--seed N] "
		      "SCRATCH\n",
		      stderr);
		return 2;
	}
	bench_seed(seed);
	run(argv[at], (uint32_t)nodes, refs);
	return 0;
}
