#include "store/embedded/ops.h"

#include "store/embedded/store.h"

static int lock_base(struct ul_store *base, struct ul_err *err)
{
	return ul_embedded_lock((struct ul_embedded *)base, err);
}

static int lock_full_base(struct ul_store *base, struct ul_err *err)
{
	return ul_embedded_lock_full((struct ul_embedded *)base, err);
}

static void unlock_base(struct ul_store *base)
{
	ul_embedded_unlock((struct ul_embedded *)base);
}

const struct ul_store_ops ul_embedded_ops = {
	.scan = ul_embedded_scan,
	.lock = lock_base,
	.unlock = unlock_base,
	.is_full = ul_embedded_is_full,
	.lock_full = lock_full_base,
	.delete_in_place = ul_embedded_delete_in_place,
	.release = ul_embedded_release,
	.remove_roots = ul_embedded_remove_roots,
	.sweep = ul_embedded_sweep,
	.expect = ul_embedded_expect,
	.empty_trash = ul_embedded_empty_trash,
	.restore = ul_embedded_restore,
	.undo = ul_embedded_undo,
	.overhead = ul_embedded_overhead,
	.close = ul_embedded_close_base,
};
