/*
 * service/door.h - the unix socket that clients come in by.
 *
 * One service per path: who serves holds a lock on PATH.lock, so that two that
 * start at once cannot both take the socket away from each other. A socket
 * that a stopped service left is recognised by that lock and replaced.
 */
#ifndef UL_SERVICE_DOOR_H
#define UL_SERVICE_DOOR_H

#include <stdbool.h>
#include <sys/types.h>

struct ul_err;

struct ul_door {
	int fd;      /* listening, non-blocking */
	int lock_fd; /* -1 where systemd made the socket */
	const char *path;
	bool is_given; /* systemd's: it stays when we end */
};
#define UL_DOOR_INIT ((struct ul_door){ .fd = -1, .lock_fd = -1 })

/*
 * Listen on `path` (borrowed; 107 bytes at most, unix(7)). The folder is made
 * where its parent exists. mode is that of the socket; group_id -1: our own.
 * Nobody can connect before mode and group are set.
 * Owner:   *ret_door, released by ul_door_release().
 * Returns: 0; UL_E_BUSY (another one serves there); UL_E_REFUSED (something
 *          that is no socket is in the way); UL_E_INVALID (too long);
 *          UL_E_IO.
 */
int ul_door_open(const char *path, mode_t mode, gid_t group_id,
		 struct ul_door *ret_door, struct ul_err *err);

/*
 * The socket that systemd listens on for us (sd_listen_fds(3)), where there is
 * one: 1 with *ret_door; 0: none; UL_E_INVALID: several, or no unix stream
 * socket that listens.
 */
int ul_door_take_given(struct ul_door *ret_door, struct ul_err *err);

/* Stop listening, and remove a socket of our own. Safe twice. */
void ul_door_release(struct ul_door *door);

#endif
