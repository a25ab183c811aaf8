/*
 * store/transfer/layer_whiteout.h - whiteouts and opaque directories, from the
 * form they have in a tar to that of overlayfs. The rules stand in layer.h.
 */
#ifndef UL_STORE_TRANSFER_LAYER_WHITEOUT_H
#define UL_STORE_TRANSFER_LAYER_WHITEOUT_H

struct ul_err;
struct ul_layer_work;

/* Hide what layers below show as `name` in the directory at a clean path. */
int ul_layer_whiteout(struct ul_layer_work *work, const char *parent,
		      const char *name, struct ul_err *err);

/* Hide all that layers below show in the directory at a clean path. */
int ul_layer_opaque(struct ul_layer_work *work, const char *parent,
		    struct ul_err *err);

/*
 * At the end: remove whiteouts that hide nothing any more, and all else that
 * was made for what is below, where something above became opaque after it.
 */
int ul_layer_extras_settle(struct ul_layer_work *work, struct ul_err *err);

#endif
