/*
 * SQLite's changes of the disk as steps of base/step.h: a VFS over the default
 * one, in programs for tests only. The log's index is shared memory, whose
 * writes are no steps; making it longer is.
 */
#include <errno.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/step.h"

struct step_file {
	sqlite3_file base;
	const char *name; /* SQLite keeps it; NULL for temporary files */
	sqlite3_file *real;
};

static sqlite3_vfs *real_vfs;

static sqlite3_file *real_of(sqlite3_file *file)
{
	return ((struct step_file *)file)->real;
}

static struct ul_step step_of(sqlite3_file *file, const char *call)
{
	return (struct ul_step){
		.call = call,
		.fd = -1,
		.path = ((struct step_file *)file)->name,
		.may = UL_STEP_ENOSPC,
	};
}

static int failed(int otherwise)
{
	return errno == ENOSPC ? SQLITE_FULL : otherwise;
}

static int step_close(sqlite3_file *file)
{
	int rc = real_of(file)->pMethods->xClose(real_of(file));

	return rc;
}

static int step_read(sqlite3_file *file, void *data, int len, sqlite3_int64 at)
{
	return real_of(file)->pMethods->xRead(real_of(file), data, len, at);
}

/* Half of a write is the last thing done: SQLite goes on after a short one by
 * itself, so that its callers never see any. */
static int step_write(sqlite3_file *file, const void *data, int len,
		      sqlite3_int64 at)
{
	sqlite3_file *real = real_of(file);
	struct ul_step step = step_of(file, "sqlite-write");
	int how, rc;

	step.may |= UL_STEP_TORN;
	how = ul_step_begin(&step);
	if (how < 0) {
		rc = failed(SQLITE_IOERR_WRITE);
	} else if (how > 0) {
		rc = real->pMethods->xWrite(real, data, len / 2, at);
		ul_step_half();
	} else {
		rc = real->pMethods->xWrite(real, data, len, at);
	}
	ul_step_end(&step, rc);
	return rc;
}

static int step_truncate(sqlite3_file *file, sqlite3_int64 len)
{
	sqlite3_file *real = real_of(file);
	struct ul_step step = step_of(file, "sqlite-truncate");
	int rc = ul_step_begin(&step) ? failed(SQLITE_IOERR_TRUNCATE)
				      : real->pMethods->xTruncate(real, len);

	ul_step_end(&step, rc);
	return rc;
}

static int step_sync(sqlite3_file *file, int flags)
{
	sqlite3_file *real = real_of(file);
	struct ul_step step = step_of(file, "sqlite-sync");
	int rc = ul_step_begin(&step) ? failed(SQLITE_IOERR_FSYNC)
				      : real->pMethods->xSync(real, flags);

	ul_step_end(&step, rc);
	return rc;
}

static int step_size(sqlite3_file *file, sqlite3_int64 *ret_size)
{
	return real_of(file)->pMethods->xFileSize(real_of(file), ret_size);
}

static int step_lock(sqlite3_file *file, int level)
{
	return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int step_unlock(sqlite3_file *file, int level)
{
	return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int step_reserved(sqlite3_file *file, int *ret_is)
{
	return real_of(file)->pMethods->xCheckReservedLock(real_of(file),
							   ret_is);
}

static int step_control(sqlite3_file *file, int op, void *arg)
{
	return real_of(file)->pMethods->xFileControl(real_of(file), op, arg);
}

static int step_sector(sqlite3_file *file)
{
	return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int step_traits(sqlite3_file *file)
{
	return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int step_shm_map(sqlite3_file *file, int page, int page_bytes,
			int is_extending, void volatile **ret_page)
{
	sqlite3_file *real = real_of(file);
	struct ul_step step = step_of(file, "sqlite-index");
	int rc;

	if (!is_extending)
		return real->pMethods->xShmMap(real, page, page_bytes,
					       is_extending, ret_page);
	rc = ul_step_begin(&step)
		 ? failed(SQLITE_IOERR_SHMSIZE)
		 : real->pMethods->xShmMap(real, page, page_bytes, is_extending,
					   ret_page);
	ul_step_end(&step, rc);
	return rc;
}

static int step_shm_lock(sqlite3_file *file, int at, int count, int flags)
{
	return real_of(file)->pMethods->xShmLock(real_of(file), at, count,
						 flags);
}

static void step_shm_barrier(sqlite3_file *file)
{
	real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int step_shm_unmap(sqlite3_file *file, int is_deleting)
{
	return real_of(file)->pMethods->xShmUnmap(real_of(file), is_deleting);
}

static int step_fetch(sqlite3_file *file, sqlite3_int64 at, int len,
		      void **ret_page)
{
	return real_of(file)->pMethods->xFetch(real_of(file), at, len,
					       ret_page);
}

static int step_unfetch(sqlite3_file *file, sqlite3_int64 at, void *page)
{
	return real_of(file)->pMethods->xUnfetch(real_of(file), at, page);
}

static const sqlite3_io_methods methods = {
	.iVersion = 3,
	.xClose = step_close,
	.xRead = step_read,
	.xWrite = step_write,
	.xTruncate = step_truncate,
	.xSync = step_sync,
	.xFileSize = step_size,
	.xLock = step_lock,
	.xUnlock = step_unlock,
	.xCheckReservedLock = step_reserved,
	.xFileControl = step_control,
	.xSectorSize = step_sector,
	.xDeviceCharacteristics = step_traits,
	.xShmMap = step_shm_map,
	.xShmLock = step_shm_lock,
	.xShmBarrier = step_shm_barrier,
	.xShmUnmap = step_shm_unmap,
	.xFetch = step_fetch,
	.xUnfetch = step_unfetch,
};

static int step_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *base,
		     int flags, int *ret_flags)
{
	struct step_file *file = (struct step_file *)base;
	struct ul_step step = { .call = "sqlite-create",
				.fd = -1,
				.path = name,
				.may = UL_STEP_ENOSPC };
	bool is_new = name && flags & SQLITE_OPEN_CREATE && access(name, F_OK);
	int rc = SQLITE_CANTOPEN;

	(void)vfs;
	file->base.pMethods = NULL;
	file->name = name;
	file->real = (sqlite3_file *)(file + 1);
	if (!is_new || !ul_step_begin(&step))
		rc = real_vfs->xOpen(real_vfs, name, file->real, flags,
				     ret_flags);
	else
		file->real->pMethods = NULL;
	if (is_new)
		ul_step_end(&step, rc);
	/* SQLite closes what has methods, even where opening failed. */
	if (file->real->pMethods)
		file->base.pMethods = &methods;
	return rc;
}

static int step_delete(sqlite3_vfs *vfs, const char *name, int sync_dir)
{
	struct ul_step step = { .call = "sqlite-delete",
				.fd = -1,
				.path = name };
	int rc = ul_step_begin(&step)
		     ? SQLITE_IOERR_DELETE
		     : real_vfs->xDelete(real_vfs, name, sync_dir);

	(void)vfs;
	ul_step_end(&step, rc);
	return rc;
}

__attribute__((constructor)) static void vfs_start(void)
{
	static sqlite3_vfs vfs;

	if (sqlite3_initialize())
		abort();
	real_vfs = sqlite3_vfs_find(NULL);
	if (!real_vfs)
		abort();
	/* All other methods look only at what the default VFS owns too. */
	vfs = *real_vfs;
	vfs.pNext = NULL;
	vfs.zName = "ullage-steps";
	vfs.szOsFile += (int)sizeof(struct step_file);
	vfs.xOpen = step_open;
	vfs.xDelete = step_delete;
	if (sqlite3_vfs_register(&vfs, 1))
		abort();
}
