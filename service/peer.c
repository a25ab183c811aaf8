#include "service/peer.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/mem.h"
#include "service/config.h"

int ul_peer_of(int fd, struct ul_peer *ret_peer, struct ul_err *err)
{
	struct ul_peer peer = { .is_local = true };
	struct ucred credentials;
	socklen_t len = sizeof credentials;
	socklen_t groups_len = UL_PEER_GROUPS_MAX * sizeof(gid_t);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &len))
		return ul_err_sys(err, "ask who connected");
	peer.user_id = credentials.uid;
	peer.process_id = credentials.pid;
	peer.group_ids[0] = credentials.gid;
	peer.group_count = 1;
	/* Of who is in more groups, those beyond give no rights. */
	if (!getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, peer.group_ids + 1,
			&groups_len))
		peer.group_count += groups_len / sizeof(gid_t);
	*ret_peer = peer;
	return 0;
}

/* A number, as text, or -1. */
static long number_of(const char *text)
{
	char *end;
	long number;

	errno = 0;
	number = strtol(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end && !errno &&
		       number < UINT_MAX
		   ? number
		   : -1;
}

static int users_find(const struct ul_config_texts *names, uid_t **ret_users,
		      struct ul_err *err)
{
	uid_t *users = ul_calloc(names->count + 1, sizeof *users);
	size_t i;

	if (!users)
		return ul_err_nomem(err);
	for (i = 0; i < names->count; i++) {
		long number = number_of(names->items[i]);
		const struct passwd *user =
		    number < 0 ? getpwnam(names->items[i]) : NULL;

		if (number < 0 && !user) {
			free(users);
			return ul_err_set(err, UL_E_INVALID,
					  "there is no user \"%s\"",
					  names->items[i]);
		}
		users[i] = user ? user->pw_uid : (uid_t)number;
	}
	*ret_users = users;
	return 0;
}

static int groups_find(const struct ul_config_texts *names, gid_t **ret_groups,
		       struct ul_err *err)
{
	gid_t *groups = ul_calloc(names->count + 1, sizeof *groups);
	size_t i;

	if (!groups)
		return ul_err_nomem(err);
	for (i = 0; i < names->count; i++) {
		long number = number_of(names->items[i]);
		const struct group *group =
		    number < 0 ? getgrnam(names->items[i]) : NULL;

		if (number < 0 && !group) {
			free(groups);
			return ul_err_set(err, UL_E_INVALID,
					  "there is no group \"%s\"",
					  names->items[i]);
		}
		groups[i] = group ? group->gr_gid : (gid_t)number;
	}
	*ret_groups = groups;
	return 0;
}

int ul_rights_init(const struct ul_config *config, uid_t own_user_id,
		   struct ul_rights *ret_rights, struct ul_err *err)
{
	ul_cleanup(ul_rights_release) struct ul_rights rights = {
		.own_user_id = own_user_id,
		.everyone_reads = config->everyone_reads,
		.change_user_count = config->change.users.count,
		.change_group_count = config->change.groups.count,
		.read_user_count = config->read.users.count,
		.read_group_count = config->read.groups.count,
	};
	int rc = users_find(&config->change.users, &rights.change_users, err);

	if (!rc)
		rc = groups_find(&config->change.groups, &rights.change_groups,
				 err);
	if (!rc)
		rc = users_find(&config->read.users, &rights.read_users, err);
	if (!rc)
		rc =
		    groups_find(&config->read.groups, &rights.read_groups, err);
	if (rc)
		return rc;
	*ret_rights = rights;
	rights = (struct ul_rights){ .own_user_id = 0 };
	return 0;
}

void ul_rights_release(struct ul_rights *rights)
{
	free(rights->change_users);
	free(rights->change_groups);
	free(rights->read_users);
	free(rights->read_groups);
	*rights = (struct ul_rights){ .own_user_id = 0 };
}

static bool user_is_in(const struct ul_peer *peer, const uid_t *users,
		       size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (users[i] == peer->user_id)
			return true;
	}
	return false;
}

static bool group_is_in(const struct ul_peer *peer, const gid_t *groups,
			size_t count)
{
	size_t i, k;

	for (i = 0; i < count; i++) {
		for (k = 0; k < peer->group_count; k++) {
			if (groups[i] == peer->group_ids[k])
				return true;
		}
	}
	return false;
}

enum ul_right ul_rights_of(const struct ul_rights *rights,
			   const struct ul_peer *peer)
{
	if (!peer->is_local)
		return UL_RIGHT_READ;
	if (!peer->user_id || peer->user_id == rights->own_user_id ||
	    user_is_in(peer, rights->change_users, rights->change_user_count) ||
	    group_is_in(peer, rights->change_groups,
			rights->change_group_count))
		return UL_RIGHT_CHANGE;
	if (rights->everyone_reads ||
	    user_is_in(peer, rights->read_users, rights->read_user_count) ||
	    group_is_in(peer, rights->read_groups, rights->read_group_count))
		return UL_RIGHT_READ;
	return UL_RIGHT_NONE;
}
