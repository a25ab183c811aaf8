/*
 * accounting/record.h - the last figures of each image in the database,
 * behind the public view image_usage.
 */
#ifndef UL_ACCOUNTING_RECORD_H
#define UL_ACCOUNTING_RECORD_H

struct ul_db;
struct ul_err;
struct ul_image_rows;
struct ul_view;

/*
 * Write the rows that differ from what is recorded, delete those of images
 * that are gone; nothing where all is as it was, or for a read-only database.
 * Thread:  the database's. Returns: 0, UL_E_DB, UL_E_BUSY, UL_E_NOMEM.
 */
int ul_image_rows_record(struct ul_db *db, const struct ul_view *view,
			 const struct ul_image_rows *rows, struct ul_err *err);

#endif
