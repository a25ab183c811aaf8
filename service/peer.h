/*
 * service/peer.h - who asks, and what they may.
 */
#ifndef UL_SERVICE_PEER_H
#define UL_SERVICE_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct ul_config;
struct ul_err;

enum { UL_PEER_GROUPS_MAX = 64 }; /* of one process, looked at */

struct ul_peer {
	uid_t user_id;
	pid_t process_id;
	gid_t group_ids[UL_PEER_GROUPS_MAX + 1]; /* its own first */
	size_t group_count;
	bool is_local; /* false: came by the loopback port, nobody knows who */
};

/*
 * Who is at the other end of a connected unix socket (SO_PEERCRED,
 * SO_PEERGROUPS of unix(7): what the kernel knew when it connected).
 * Returns: 0; UL_E_IO.
 */
int ul_peer_of(int fd, struct ul_peer *ret_peer, struct ul_err *err);

enum ul_right {
	UL_RIGHT_NONE,
	UL_RIGHT_READ,
	UL_RIGHT_CHANGE, /* and read */
};

/* The configuration's users and groups as numbers. */
struct ul_rights {
	uid_t own_user_id;
	uid_t *change_users, *read_users; /* owned */
	size_t change_user_count, read_user_count;
	gid_t *change_groups, *read_groups; /* owned */
	size_t change_group_count, read_group_count;
	bool everyone_reads;
};

/*
 * Look the names up, once: the look-up may take its time (NSS).
 * Owner:   *ret_rights, released by ul_rights_release().
 * Returns: 0; UL_E_INVALID with the name that there is not; UL_E_NOMEM.
 */
int ul_rights_init(const struct ul_config *config, uid_t own_user_id,
		   struct ul_rights *ret_rights, struct ul_err *err);
void ul_rights_release(struct ul_rights *rights);

/*
 * Root, the service's own user and the configured users and groups may change
 * things; the others read where the configuration lets them. Who came by the
 * port reads.
 */
enum ul_right ul_rights_of(const struct ul_rights *rights,
			   const struct ul_peer *peer);

#endif
