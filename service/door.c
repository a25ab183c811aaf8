#include "service/door.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"

/* The kernel cuts it to net.core.somaxconn. */
enum { BACKLOG = 4096 };

static int address_init(const char *path, struct sockaddr_un *ret,
			struct ul_err *err)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof ret->sun_path)
		return ul_err_set(err, UL_E_INVALID,
				  "%s: the path of a socket has %zu bytes at "
				  "most",
				  path, sizeof ret->sun_path - 1);
	memcpy(ret->sun_path, path, strlen(path) + 1);
	return 0;
}

static int folder_make(const char *path, struct ul_err *err)
{
	char folder[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char *slash;

	memcpy(folder, path, strlen(path) + 1);
	slash = strrchr(folder, '/');
	if (!slash || slash == folder)
		return 0;
	*slash = '\0';
	if (mkdir(folder, 0755) && errno != EEXIST)
		return ul_err_sys(err, "make directory %s", folder);
	return 0;
}

static int lock_take(const char *path, int *ret_fd, struct ul_err *err)
{
	ul_cleanup(ul_freep) char *lock = ul_asprintf("%s.lock", path);
	ul_cleanup(ul_closep) int fd = -1;
	int rc;

	if (!lock)
		return ul_err_nomem(err);
	fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return ul_err_sys(err, "open %s", lock);
	rc = ul_fd_lock(fd, true, 0, NULL, NULL, err);
	if (rc == UL_E_BUSY)
		return ul_err_wrap(err, "another ullage serves on %s", path);
	if (!rc)
		*ret_fd = ul_fd_steal(&fd);
	return rc;
}

/* Under the lock: a socket that is there is nobody's. */
static int stale_remove(const char *path, struct ul_err *err)
{
	struct stat st;

	if (lstat(path, &st))
		return errno == ENOENT ? 0 : ul_err_sys(err, "stat %s", path);
	if (!S_ISSOCK(st.st_mode))
		return ul_err_set(err, UL_E_REFUSED,
				  "%s is in the way and no socket; move it, or "
				  "choose another with --socket",
				  path);
	return unlink(path) ? ul_err_sys(err, "remove the socket %s", path) : 0;
}

/* Nobody can connect before it listens. No umask: that is the process's, all
 * threads' at once. */
static int socket_place(int fd, const struct sockaddr_un *address, mode_t mode,
			gid_t group_id, struct ul_err *err)
{
	const char *path = address->sun_path;

	if (fchmod(fd, 0600) ||
	    bind(fd, (const struct sockaddr *)address, sizeof *address))
		return ul_err_sys(err, "bind to %s", path);
	if (lchown(path, (uid_t)-1, group_id) || chmod(path, mode)) {
		ul_err_sys(err, "set group and mode of %s", path);
		unlink(path);
		return err->code;
	}
	if (!listen(fd, BACKLOG))
		return 0;
	ul_err_sys(err, "listen on %s", path);
	unlink(path);
	return err->code;
}

int ul_door_open(const char *path, mode_t mode, gid_t group_id,
		 struct ul_door *ret_door, struct ul_err *err)
{
	ul_cleanup(ul_closep) int fd = -1, lock_fd = -1;
	struct sockaddr_un address;
	int rc = address_init(path, &address, err);

	if (!rc)
		rc = folder_make(path, err);
	if (!rc)
		rc = lock_take(path, &lock_fd, err);
	if (!rc)
		rc = stale_remove(path, err);
	if (rc)
		return rc;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return ul_err_sys(err, "make a socket");
	rc = socket_place(fd, &address, mode, group_id, err);
	if (rc)
		return rc;
	*ret_door = (struct ul_door){
		.fd = ul_fd_steal(&fd),
		.lock_fd = ul_fd_steal(&lock_fd),
		.path = path,
	};
	return 0;
}

int ul_door_take_given(struct ul_door *ret_door, struct ul_err *err)
{
	int count = sd_listen_fds(true), flags;

	if (count <= 0)
		return 0;
	if (count > 1 || sd_is_socket_unix(SD_LISTEN_FDS_START, SOCK_STREAM, 1,
					   NULL, 0) <= 0)
		return ul_err_set(err, UL_E_INVALID,
				  "systemd gave %d sockets; one unix stream "
				  "socket is expected",
				  count);
	flags = fcntl(SD_LISTEN_FDS_START, F_GETFL);
	if (flags < 0 ||
	    fcntl(SD_LISTEN_FDS_START, F_SETFL, flags | O_NONBLOCK))
		return ul_err_sys(err, "use the socket of systemd");
	*ret_door = (struct ul_door){
		.fd = SD_LISTEN_FDS_START,
		.lock_fd = -1,
		.is_given = true,
	};
	return 1;
}

void ul_door_release(struct ul_door *door)
{
	if (door->fd >= 0 && !door->is_given)
		unlink(door->path);
	ul_closep(&door->fd);
	ul_closep(&door->lock_fd);
	*door = UL_DOOR_INIT;
}
