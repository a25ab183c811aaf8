/*
 * store/embedded/form.h - what sets apart the two kinds of stores that ullage
 * changes by itself. Internal to the folder.
 *
 * An `oci` store is an image layout somewhere: the embedded store without
 * snapshots, leases and a store-id, and so that nothing of ours stays in it
 * but a hidden trash while that holds something.
 */
#ifndef UL_STORE_EMBEDDED_FORM_H
#define UL_STORE_EMBEDDED_FORM_H

#include <stdbool.h>
#include <stdint.h>

struct ul_form {
	const char *kind;   /* as in the database and in --store */
	const char *layout; /* where the layout is: "oci/", or "" */
	const char *trash;  /* name of the trash's folder */
	int64_t grace_s;    /* unless another is asked for */
	bool is_ours;       /* folders, store-id, snapshots are made by us */
};

extern const struct ul_form ul_form_embedded, ul_form_oci;

#endif
