#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"
#include "cli/resolve.h"
#include "store/graph/graph.h"
#include "store/view.h"

#define HEX_REST "000000000000000000000000000000000000000000000000000000000000"
#define INDEX "sha256:aaaa" HEX_REST
#define AMD "sha256:aabb" HEX_REST
#define CONFIG "sha256:cafe" HEX_REST
#define LAYER "sha256:1234" HEX_REST
#define CHAIN "sha256:1277" HEX_REST
#define OTHER "sha256:beef" HEX_REST
#define GONE "sha256:dead" HEX_REST
#define TRASHED "sha256:f00d" HEX_REST

struct fixture {
	struct ul_view view;
	struct ul_view_image images[3];
	struct ul_view_platform platforms[1];
	struct ul_view_file files[3];
	struct ul_view_trash trash[1];
	uint32_t names[2], other_names[1], nameless[1];
	uint32_t blob_index, amd, config, layer, chain, other, work, lease;
	uint32_t odd_file;
};

static uint32_t add(struct fixture *f, enum ul_kind kind, const char *key)
{
	return ul_record_object(&f->view.record, (uint8_t)kind, "", "", key);
}

static void add_name(struct fixture *f, const char *text, const char *digest,
		     int64_t vanished_unix_s)
{
	struct ul_name *name = ul_record_name(&f->view.record, "", text);

	name->digest = digest;
	name->entry = "";
	name->vanished_unix_s = vanished_unix_s;
}

/*
 * app:1 and registry.example.com/team/app:2 are one image of one platform; an
 * image of a name that is no reference; one without a name.
 */
static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	f->view = UL_VIEW_INIT;
	f->view.store_kind = "embedded";
	f->view.store_path = "/var/lib/ullage/store";
	f->names[0] = add(f, UL_KIND_IMAGE, "docker.io/library/app:1");
	f->names[1] = add(f, UL_KIND_IMAGE, "registry.example.com/team/app:2");
	f->other_names[0] = add(f, UL_KIND_IMAGE, "Odd Name");
	f->nameless[0] = add(f, UL_KIND_IMAGE, GONE);
	f->blob_index = add(f, UL_KIND_BLOB, INDEX);
	f->amd = add(f, UL_KIND_BLOB, AMD);
	f->config = add(f, UL_KIND_BLOB, CONFIG);
	f->layer = add(f, UL_KIND_BLOB, LAYER);
	f->other = add(f, UL_KIND_BLOB, OTHER);
	add(f, UL_KIND_BLOB, GONE);
	f->chain = add(f, UL_KIND_SNAPSHOT, CHAIN);
	f->work = add(f, UL_KIND_SNAPSHOT, "cafe");
	f->lease = add(f, UL_KIND_LEASE, "build-7");
	f->odd_file = add(f, UL_KIND_FILE, "ingest/x1");
	f->platforms[0] = (struct ul_view_platform){
		.platform = "linux/amd64",
		.manifest = f->amd,
		.config = f->config,
		.top_snapshot = f->chain,
	};
	f->images[0] = (struct ul_view_image){
		.digest = INDEX,
		.target = f->blob_index,
		.names = f->names,
		.name_count = 2,
		.platforms = f->platforms,
		.platform_count = 1,
	};
	f->images[1] = (struct ul_view_image){
		.digest = OTHER,
		.target = f->other,
		.names = f->other_names,
		.name_count = 1,
	};
	f->images[2] = (struct ul_view_image){
		.digest = GONE,
		.names = f->nameless,
		.name_count = 1,
		.is_nameless = true,
	};
	f->files[0] = (struct ul_view_file){
		.object = f->layer,
		.path = "oci/blobs/sha256/1234" HEX_REST,
	};
	f->files[1] = (struct ul_view_file){ .object = f->work,
					     .path = "snapshots/key-cafe" };
	f->files[2] =
	    (struct ul_view_file){ .object = f->odd_file, .path = "ingest/x1" };
	f->trash[0] =
	    (struct ul_view_trash){ .kind = UL_KIND_BLOB, .key = TRASHED };
	f->view.images = f->images;
	f->view.image_count = 3;
	f->view.files = f->files;
	f->view.file_count = 3;
	f->view.trash = f->trash;
	f->view.trash_count = 1;
	add_name(f, "docker.io/library/app:1", INDEX, 0);
	add_name(f, "docker.io/library/old:3", OTHER, 77);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	f->view.images = NULL;
	f->view.files = NULL;
	f->view.trash = NULL;
	ul_view_release(&f->view);
	free(f);
	return 0;
}

static void assert_found(const struct fixture *f, const char *text,
			 unsigned what, uint32_t wanted)
{
	struct ul_err err = UL_ERR_INIT;
	uint32_t object = UL_OBJECT_NONE;

	if (ul_resolve(&f->view, text, what, &object, &err))
		fail_msg("%s: %s", text, err.msg);
	assert_int_equal(object, wanted);
}

static void assert_fails(const struct fixture *f, const char *text,
			 unsigned what, int code, const char *message)
{
	struct ul_err err = UL_ERR_INIT;
	uint32_t object = 4711;

	assert_int_equal(ul_resolve(&f->view, text, what, &object, &err), code);
	assert_string_equal(err.msg, message);
	assert_int_equal(object, 4711);
}

static void test_resolve__names_in_every_form(void **state)
{
	struct fixture *f = *state;

	assert_found(f, "app:1", UL_RESOLVE_ANY, f->names[0]);
	assert_found(f, "library/app:1", UL_RESOLVE_ANY, f->names[0]);
	assert_found(f, "docker.io/app:1", UL_RESOLVE_IMAGE, f->names[0]);
	assert_found(f, "docker.io/library/app:1", UL_RESOLVE_IMAGE,
		     f->names[0]);
	assert_found(f, "registry.example.com/team/app:2", UL_RESOLVE_ANY,
		     f->names[1]);
	assert_found(f, "Odd Name", UL_RESOLVE_ANY, f->other_names[0]);
}

static void test_resolve__digests_and_their_beginnings(void **state)
{
	struct fixture *f = *state;

	assert_found(f, INDEX, UL_RESOLVE_ANY, f->blob_index);
	assert_found(f, "sha256:aaa", UL_RESOLVE_ANY, f->blob_index);
	assert_found(f, "aabb", UL_RESOLVE_ANY, f->amd);
	assert_found(f, "1277", UL_RESOLVE_ANY, f->chain);
	assert_found(f, CHAIN, UL_RESOLVE_SNAPSHOT, f->chain);
	assert_found(f, "sha256:12", UL_RESOLVE_SNAPSHOT, f->chain);
	assert_found(f, "sha256:12", UL_RESOLVE_BLOB, f->layer);
}

static void test_resolve__keys_win_over_what_begins_like_them(void **state)
{
	struct fixture *f = *state;

	assert_found(f, "cafe", UL_RESOLVE_ANY, f->work);
	assert_found(f, "cafe0", UL_RESOLVE_ANY, f->config);
	assert_found(f, "build-7", UL_RESOLVE_ANY, f->lease);
	assert_found(f, "build-7", UL_RESOLVE_LEASE, f->lease);
}

static void test_resolve__paths_lead_to_what_they_lie_in(void **state)
{
	struct fixture *f = *state;

	assert_found(f, "oci/blobs/sha256/1234" HEX_REST, UL_RESOLVE_ANY,
		     f->layer);
	assert_found(f, "snapshots/key-cafe", UL_RESOLVE_ANY, f->work);
	assert_found(f, "snapshots/key-cafe/fs/etc/passwd", UL_RESOLVE_ANY,
		     f->work);
	assert_found(f, "/var/lib/ullage/store/snapshots/key-cafe/fs",
		     UL_RESOLVE_ANY, f->work);
	assert_found(f, "ingest/x1", UL_RESOLVE_ANY, f->odd_file);
	assert_fails(f, "snapshots/key-cafeteria", UL_RESOLVE_ANY, UL_E_ABSENT,
		     "no object \"snapshots/key-cafeteria\"");
	assert_fails(f, "/var/lib/other", UL_RESOLVE_ANY, UL_E_ABSENT,
		     "no object \"/var/lib/other\"");
}

static void test_resolve__what_is_ambiguous_is_listed(void **state)
{
	struct fixture *f = *state;

	assert_fails(f, "sha256:a", UL_RESOLVE_ANY, UL_E_INVALID,
		     "\"sha256:a\" may be any of: sha256:aaaa00000000, "
		     "sha256:aabb00000000");
	assert_fails(f, "sha256:12", UL_RESOLVE_ANY, UL_E_INVALID,
		     "\"sha256:12\" may be any of: sha256:123400000000, "
		     "sha256:127700000000");
	assert_fails(f, INDEX, UL_RESOLVE_IMAGE, UL_E_INVALID,
		     "\"" INDEX "\" may be any of: docker.io/library/app:1, "
		     "registry.example.com/team/app:2");
}

static void test_resolve__absent_names_get_a_suggestion(void **state)
{
	struct fixture *f = *state;

	assert_fails(f, "app:3", UL_RESOLVE_ANY, UL_E_ABSENT,
		     "no image \"app:3\"; did you mean app:1?");
	assert_fails(f, "build-8", UL_RESOLVE_LEASE, UL_E_ABSENT,
		     "no lease \"build-8\"; did you mean build-7?");
	assert_fails(f, "cafés", UL_RESOLVE_SNAPSHOT, UL_E_ABSENT,
		     "no snapshot \"cafés\"");
	assert_fails(f, "entirely-else", UL_RESOLVE_ANY, UL_E_ABSENT,
		     "no object \"entirely-else\"");
	assert_fails(f, "", UL_RESOLVE_ANY, UL_E_INVALID, "an empty name");
	assert_fails(f, "abc", UL_RESOLVE_BLOB, UL_E_ABSENT, "no blob \"abc\"");
}

static void test_resolve__vanished_names_lead_to_their_content(void **state)
{
	struct fixture *f = *state;
	char digest[UL_DIGEST_TEXT_MAX];

	assert_found(f, "old:3", UL_RESOLVE_ANY, f->other);
	assert_fails(f, "old:3", UL_RESOLVE_IMAGE, UL_E_ABSENT,
		     "no image \"old:3\" any more; `ullage tag old:3 old:3` "
		     "may bring it back");
	assert_true(ul_resolve_vanished(&f->view, "old:3", digest));
	assert_string_equal(digest, OTHER);
	assert_false(ul_resolve_vanished(&f->view, "app:1", digest));
	assert_false(ul_resolve_vanished(&f->view, "never:1", digest));
}

static void test_resolve__images_by_any_digest_of_theirs(void **state)
{
	struct fixture *f = *state;
	struct ul_err err = UL_ERR_INIT;
	uint32_t image = 9;

	assert_int_equal(ul_resolve_image(&f->view, "app:1", &image, &err), 0);
	assert_int_equal(image, 0);
	assert_int_equal(ul_resolve_image(&f->view, "beef", &image, &err), 0);
	assert_int_equal(image, 1);
	assert_int_equal(ul_resolve_image(&f->view, "cafe0", &image, &err), 0);
	assert_int_equal(image, 0);
	assert_int_equal(ul_resolve_image(&f->view, AMD, &image, &err), 0);
	assert_int_equal(image, 0);
	assert_int_equal(ul_resolve_image(&f->view, "dead", &image, &err), 0);
	assert_int_equal(image, 2);
	assert_int_equal(ul_resolve_image(&f->view, "1234", &image, &err),
			 UL_E_ABSENT);
	assert_int_equal(image, 2);
	assert_found(f, GONE, UL_RESOLVE_IMAGE, f->nameless[0]);
	assert_found(f, "beef", UL_RESOLVE_IMAGE, f->other_names[0]);
}

static void test_resolve__things_in_the_trash(void **state)
{
	struct fixture *f = *state;
	uint32_t position = 7;

	assert_true(
	    ul_resolve_trashed(&f->view, TRASHED, UL_KIND_BLOB, &position));
	assert_int_equal(position, 0);
	assert_true(
	    ul_resolve_trashed(&f->view, "f00d", UL_KIND_BLOB, &position));
	assert_false(
	    ul_resolve_trashed(&f->view, "f00d", UL_KIND_SNAPSHOT, &position));
	assert_false(
	    ul_resolve_trashed(&f->view, "aaaa", UL_KIND_BLOB, &position));
}

static void test_resolve__what_is_gone_is_not_found(void **state)
{
	struct fixture *f = *state;

	f->view.record.objects[f->work].is_gone = true;
	f->view.record.objects[f->lease].is_gone = true;
	assert_found(f, "cafe", UL_RESOLVE_ANY, f->config);
	assert_fails(f, "build-7", UL_RESOLVE_LEASE, UL_E_ABSENT,
		     "no lease \"build-7\"");
}

/* Names may be in it that nobody has seen; what is found stays found. */
static void test_resolve__a_damaged_index_has_no_unknown_names(void **state)
{
	struct fixture *f = *state;

	f->view.is_index_damaged = true;
	f->view.refusal = "index.json is missing";
	assert_found(f, "app:1", UL_RESOLVE_IMAGE, f->names[0]);
	assert_found(f, "build-7", UL_RESOLVE_ANY, f->lease);
	assert_fails(f, "app:9", UL_RESOLVE_IMAGE, UL_E_CORRUPT,
		     "whether there is an image \"app:9\" is not known: "
		     "index.json is missing");
	assert_fails(f, "app:9", UL_RESOLVE_ANY, UL_E_CORRUPT,
		     "whether there is an image \"app:9\" is not known: "
		     "index.json is missing");
	assert_fails(f, "app:9", UL_RESOLVE_LEASE, UL_E_ABSENT,
		     "no lease \"app:9\"");
}

static void test_resolve__without_memory_nothing_is_answered(void **state)
{
	static const struct {
		const char *text;
		unsigned what;
		int code;
	} cases[] = {
		{ "sha256:a", UL_RESOLVE_ANY, UL_E_INVALID },
		{ INDEX, UL_RESOLVE_IMAGE, UL_E_INVALID },
		{ "build-8", UL_RESOLVE_LEASE, UL_E_ABSENT },
	};
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < ul_array_len(cases); i++) {
		int rc = UL_E_NOMEM;
		long n;

		for (n = 0; rc == UL_E_NOMEM; n++) {
			struct ul_err err = UL_ERR_INIT;
			uint32_t object = 4711;

			ul_mem_countdown = n;
			rc = ul_resolve(&f->view, cases[i].text, cases[i].what,
					&object, &err);
			ul_mem_countdown = -1;
			assert_int_equal(object, 4711);
			assert_int_equal(err.code, rc);
		}
		assert_int_equal(rc, cases[i].code);
		assert_true(n > 1);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_resolve__names_in_every_form),
		TEST(test_resolve__digests_and_their_beginnings),
		TEST(test_resolve__keys_win_over_what_begins_like_them),
		TEST(test_resolve__paths_lead_to_what_they_lie_in),
		TEST(test_resolve__what_is_ambiguous_is_listed),
		TEST(test_resolve__absent_names_get_a_suggestion),
		TEST(test_resolve__vanished_names_lead_to_their_content),
		TEST(test_resolve__images_by_any_digest_of_theirs),
		TEST(test_resolve__things_in_the_trash),
		TEST(test_resolve__what_is_gone_is_not_found),
		TEST(test_resolve__a_damaged_index_has_no_unknown_names),
		TEST(test_resolve__without_memory_nothing_is_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
