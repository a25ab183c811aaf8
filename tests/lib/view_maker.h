/*
 * tests/lib/view_maker.h - a struct ul_view by hand: objects, references,
 * files, images, leases and trash, put together as a scan does it.
 *
 * Declare everything, then view_made() once; the view is read-only from then
 * on. Time is VIEW_NOW; files are a day old unless told otherwise.
 */
#ifndef UL_TESTS_LIB_VIEW_MAKER_H
#define UL_TESTS_LIB_VIEW_MAKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/view.h"

#define VIEW_NOW ((int64_t)1795000000)
#define VIEW_DAY_S 86400

enum { VIEW_MAX = 128 };

struct view_ref {
	uint32_t from, to;
	enum ul_ref_kind kind;
	const char *reason;
};

struct view_maker {
	struct ul_view view;
	struct ul_graph_builder *builder;
	struct view_ref refs[VIEW_MAX];
	size_t ref_count;
	bool lease_is_flat[VIEW_MAX];
	struct ul_measure_link links[VIEW_MAX][8]; /* by file */
};

/* Release with ul_view_release(&maker->view). */
void view_begin(struct view_maker *maker);

uint32_t view_object(struct view_maker *maker, enum ul_kind kind,
		     const char *key);
void view_ref(struct view_maker *maker, uint32_t from, uint32_t to,
	      const char *reason);

/* A file under an object, of so many bytes. Its number. */
size_t view_file(struct view_maker *maker, uint32_t object, uint64_t bytes);
/* A blob with its file, in one. */
uint32_t view_blob(struct view_maker *maker, const char *key, uint64_t bytes);
/* An inode that the file holds one link of. */
void view_link(struct view_maker *maker, size_t file, uint64_t inode,
	       uint32_t nlink, uint64_t bytes);

/*
 * A name (NULL: an entry without one) of the image of this digest, made with
 * its first; *ret, where it is not NULL, may be changed until view_made().
 * The number of the name's object.
 */
uint32_t view_image(struct view_maker *maker, const char *name,
		    const char *digest, struct ul_view_image **ret);
/* A platform of it: a config with these labels, referred to by manifest. */
struct ul_config_facts *view_platform(struct view_maker *maker,
				      struct ul_view_image *image,
				      uint32_t manifest, const char *config_key,
				      const char *labels_json);

/* A lease; refer to what it holds with view_ref(). */
uint32_t view_lease(struct view_maker *maker, const char *id, bool is_container,
		    bool is_expired, bool is_flat);
/* Something in the trash. */
struct ul_view_trash *view_trash(struct view_maker *maker, const char *path,
				 uint64_t bytes, int64_t delete_unix_s);

/* Build the graph. */
struct ul_view *view_made(struct view_maker *maker);

#endif
