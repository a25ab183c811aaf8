/*
 * From nodes to findings: what is absent, what is not what it should be, and
 * which images that hurts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/verify/findings.h"
#include "store/verify/layout_internal.h"

static bool is_subject(const struct ul_layout_ref *ref)
{
	return !strcmp(ref->reason, "subject");
}

/* Who refers to each node, as compressed rows. */
static int backs_make(struct ul_layout_check *check, struct ul_err *err)
{
	size_t i;

	if (check->first_back)
		return 0;
	check->first_back =
	    ul_calloc(check->node_count + 2, sizeof *check->first_back);
	check->backs = ul_malloc((check->ref_count + 1) * sizeof *check->backs);
	if (!check->first_back || !check->backs) {
		free(check->first_back);
		free(check->backs);
		check->first_back = check->backs = NULL;
		return ul_err_nomem(err);
	}
	for (i = 0; i < check->ref_count; i++)
		check->first_back[check->refs[i].to + 2]++;
	for (i = 2; i < check->node_count + 2; i++)
		check->first_back[i] += check->first_back[i - 1];
	for (i = 0; i < check->ref_count; i++)
		check->backs[check->first_back[check->refs[i].to + 1]++] =
		    (uint32_t)i;
	return 0;
}

static bool hurts_root(const struct ul_layout_check *check, uint32_t node,
		       struct ul_findings *findings)
{
	uint32_t i = check->nodes[node].first_root;

	for (; i != UL_MAP_NONE; i = check->roots[i].next) {
		const char *name = check->roots[i].name;

		if (!ul_findings_hurts(findings,
				       name ? name : check->nodes[node].key))
			return false;
	}
	return true;
}

int ul_layout_check_hurts(struct ul_layout_check *check, uint32_t node,
			  struct ul_findings *findings, struct ul_err *err)
{
	ul_cleanup(ul_freep) uint32_t *queue =
	    ul_malloc((check->node_count + 1) * sizeof *queue);
	ul_cleanup(ul_freep) bool *seen =
	    ul_calloc(check->node_count + 1, sizeof *seen);
	size_t next, len = 0;
	uint32_t b;

	if (!queue || !seen || backs_make(check, err))
		return ul_err_nomem(err);
	seen[node] = true;
	queue[len++] = node;
	for (next = 0; next < len; next++) {
		uint32_t at = queue[next];

		if (!hurts_root(check, at, findings))
			return ul_err_nomem(err);
		for (b = check->first_back[at]; b < check->first_back[at + 1];
		     b++) {
			const struct ul_layout_ref *ref =
			    &check->refs[check->backs[b]];

			/* A signature does not need what it signs. */
			if (seen[ref->from] || is_subject(ref))
				continue;
			seen[ref->from] = true;
			queue[len++] = ref->from;
		}
	}
	return 0;
}

/* How much its absence matters. */
enum need { NEED_NONE, NEED_PLATFORM, NEED_FOREIGN, NEED_ALL };

static enum need ref_need(const struct ul_layout_check *check,
			  const struct ul_layout_ref *ref)
{
	enum ul_media media = ul_media_of(check->nodes[ref->to].media_type);

	if (is_subject(ref))
		return NEED_NONE;
	if (ref->has_urls)
		return NEED_FOREIGN;
	if (!strcmp(ref->reason, "config") ||
	    !strncmp(ref->reason, "layer ", 6))
		return NEED_ALL;
	if (strncmp(ref->reason, "manifest ", 9))
		return NEED_NONE;
	/* The index of a build cache lists layers. */
	return media == UL_MEDIA_LAYER || media == UL_MEDIA_CONFIG ||
		       media == UL_MEDIA_CACHE_CONFIG
		   ? NEED_ALL
		   : NEED_PLATFORM;
}

/* NULL: nothing refers to it in a way that needs it. */
static const struct ul_layout_ref *
needed_by(const struct ul_layout_check *check, uint32_t node,
	  enum need *ret_need)
{
	const struct ul_layout_ref *found = NULL;
	uint32_t b;

	*ret_need = NEED_NONE;
	for (b = check->first_back[node]; b < check->first_back[node + 1];
	     b++) {
		const struct ul_layout_ref *ref = &check->refs[check->backs[b]];
		enum need need = ref_need(check, ref);

		if (need > *ret_need) {
			*ret_need = need;
			found = ref;
		}
	}
	return found;
}

static bool is_trashed(const struct verify_layout *verify,
		       const struct ul_layout_node *node)
{
	const struct ul_layout_check_options *options = verify->options;
	char path[UL_LAYOUT_PATH_MAX], whole[UL_LAYOUT_PATH_MAX + 8];

	if (!options->trashed)
		return false;
	ul_layout_blob_path(&node->digest, path);
	snprintf(whole, sizeof whole, "%s%s", options->trashed_prefix, path);
	return ul_map_get_str(options->trashed, whole) != UL_MAP_NONE;
}

/* How an image comes again: ullage imports into its own store alone. */
static const char *bringing(const struct verify_layout *verify)
{
	return verify->options->is_shared ? "copying" : "importing";
}

static int absent_say(struct verify_layout *verify, uint32_t at)
{
	struct ul_layout_check *check = verify->check;
	const struct ul_layout_node *node = &check->nodes[at];
	const struct ul_layout_ref *ref;
	struct ul_finding *finding;
	enum need need;

	ref = needed_by(check, at, &need);
	if (is_trashed(verify, node))
		finding = ul_findings_add(
		    verify->findings, UL_FINDING_NOTE, "blob", node->key, "",
		    "is needed again and lies in the trash: the next change "
		    "puts it back");
	else if (node->first_root != UL_MAP_NONE)
		finding = ul_findings_add(
		    verify->findings, UL_FINDING_DAMAGE, "blob", node->key, "",
		    "is missing, and with it the image; its name stays, and "
		    "%s the image again heals it",
		    bringing(verify));
	else if (need == NEED_ALL)
		finding = ul_findings_add(
		    verify->findings, UL_FINDING_DAMAGE, "blob", node->key, "",
		    "is missing: %s of %.19s; %s the image again heals it",
		    ref->reason, check->nodes[ref->from].key, bringing(verify));
	else if (need == NEED_FOREIGN)
		finding = ul_findings_add(
		    verify->findings, UL_FINDING_NOTE, "blob", node->key, "",
		    "is a foreign layer, to be downloaded elsewhere: not here");
	else
		return 0;
	if (!finding)
		return ul_err_nomem(verify->err);
	return ul_layout_check_hurts(check, at, verify->findings, verify->err);
}

static int held_look(struct verify_layout *verify, struct ul_layout_node *node)
{
	char path[UL_LAYOUT_PATH_MAX];
	enum ul_layout_held held;
	int rc;

	ul_layout_blob_path(&node->digest, path);
	rc = ul_layout_held(verify->layout_fd, path, verify->options, &held,
			    verify->err);
	if (!rc)
		node->held = (uint8_t)held;
	return rc;
}

/* What a repair does with a blob that is not what it should be. */
static bool repair_text(const struct verify_layout *verify,
			const struct ul_layout_node *node, struct ul_buf *text)
{
	const char *aside = verify->options->aside;

	if (!aside)
		aside = "damaged/";
	if (node->held == UL_HELD_NOT)
		return ul_buf_printf(
		    text,
		    "moves it to %s; %s the image again brings it back "
		    "whole",
		    aside, bringing(verify));
	if (node->held == UL_HELD_YOUNG)
		return ul_buf_printf(text,
				     "leaves it, unless --grace 0 says that "
				     "nobody writes here now: then moves it to "
				     "%s",
				     aside);
	return ul_buf_add_str(text, "leaves it");
}

/* Nothing needs it, and its writer may not be done. */
static enum ul_severity bad_severity(const struct ul_layout_node *node)
{
	return node->is_loose && node->held != UL_HELD_NOT ? UL_FINDING_NOTE
							   : UL_FINDING_DAMAGE;
}

static struct ul_finding *bad_add(struct verify_layout *verify,
				  const struct ul_layout_node *node)
{
	ul_cleanup(ul_buf_release) struct ul_buf repair = UL_BUF_INIT;
	const char *held = ul_layout_held_text(node->held);
	enum ul_severity severity = bad_severity(node);

	if (!repair_text(verify, node, &repair))
		return NULL;
	if (node->broken)
		return ul_findings_add(verify->findings, severity, "blob",
				       node->key, ul_buf_str(&repair),
				       "has its digest, but cannot be "
				       "understood: %s%s",
				       node->broken, held);
	if (!node->is_other_length)
		return ul_findings_add(verify->findings, severity, "blob",
				       node->key, ul_buf_str(&repair),
				       "does not have its digest%s", held);
	return ul_findings_add(verify->findings, severity, "blob", node->key,
			       ul_buf_str(&repair),
			       "is %llu bytes long and should be %llu: it does "
			       "not have its digest%s",
			       (unsigned long long)node->size_bytes,
			       (unsigned long long)node->wanted_bytes, held);
}

/* The blob is what its digest says, so who says another length is wrong. */
static struct ul_finding *length_say(struct verify_layout *verify, uint32_t at,
				     const char *kind, const char *key,
				     uint64_t said_bytes)
{
	const struct ul_layout_node *node = &verify->check->nodes[at];

	return ul_findings_add(
	    verify->findings, UL_FINDING_DAMAGE, kind, key, "",
	    "says that blob %.19s is %llu bytes long: it is %llu, and has "
	    "its digest",
	    node->key, (unsigned long long)said_bytes,
	    (unsigned long long)node->size_bytes);
}

static int lengths_of_roots(struct verify_layout *verify, uint32_t at)
{
	const struct ul_layout_check *check = verify->check;
	const struct ul_layout_node *node = &check->nodes[at];
	uint32_t r;

	for (r = node->first_root; r != UL_MAP_NONE; r = check->roots[r].next) {
		const struct ul_layout_root *root = &check->roots[r];

		if (root->is_size_unknown ||
		    root->size_bytes == node->size_bytes)
			continue;
		if (!length_say(verify, at, "index", "index.json",
				root->size_bytes) ||
		    !ul_findings_hurts(verify->findings,
				       root->name ? root->name : node->key))
			return ul_err_nomem(verify->err);
	}
	return 0;
}

/* What only looks like a descriptor may say anything. */
static int lengths_say(struct verify_layout *verify, uint32_t at)
{
	struct ul_layout_check *check = verify->check;
	uint32_t b;
	int rc = lengths_of_roots(verify, at);

	for (b = check->first_back[at]; !rc && b < check->first_back[at + 1];
	     b++) {
		const struct ul_layout_ref *ref = &check->refs[check->backs[b]];

		if (ref->is_size_unknown ||
		    ref->size_bytes == check->nodes[at].size_bytes ||
		    ref_need(check, ref) == NEED_NONE)
			continue;
		if (!length_say(verify, at, "blob", check->nodes[ref->from].key,
				ref->size_bytes))
			return ul_err_nomem(verify->err);
		rc = ul_layout_check_hurts(check, ref->from, verify->findings,
					   verify->err);
	}
	return rc;
}

static int present_say(struct verify_layout *verify, uint32_t at)
{
	struct ul_layout_check *check = verify->check;
	struct ul_layout_node *node = &check->nodes[at];
	struct ul_finding *finding;
	int rc;

	if (!node->is_bad && !node->broken)
		return node->is_other_length ? lengths_say(verify, at) : 0;
	rc = held_look(verify, node);
	if (rc)
		return rc;
	finding = bad_add(verify, node);
	if (!finding)
		return ul_err_nomem(verify->err);
	return ul_layout_check_hurts(check, at, verify->findings, verify->err);
}

/* Images are often kept for one platform alone: a line for each index. */
static int platforms_say(struct verify_layout *verify, uint32_t at)
{
	const struct ul_layout_check *check = verify->check;
	const struct ul_layout_node *node = &check->nodes[at];
	size_t i, absent = 0, all = 0;

	if (node->media != UL_MEDIA_INDEX)
		return 0;
	for (i = 0; i < node->ref_count; i++) {
		const struct ul_layout_ref *ref =
		    &check->refs[node->first_ref + i];

		if (ref_need(check, ref) != NEED_PLATFORM)
			continue;
		all++;
		absent += !check->nodes[ref->to].is_here;
	}
	if (!absent)
		return 0;
	if (!ul_findings_add(verify->findings, UL_FINDING_NOTE, "blob",
			     node->key, "",
			     "has %zu of its %zu manifests here: the other "
			     "platforms were not brought along",
			     all - absent, all))
		return ul_err_nomem(verify->err);
	return ul_layout_check_hurts(verify->check, at, verify->findings,
				     verify->err);
}

int verify_report(struct verify_layout *verify)
{
	size_t i;
	int rc = backs_make(verify->check, verify->err);

	for (i = 0; !rc && i < verify->check->node_count; i++) {
		uint32_t at = (uint32_t)i;

		if (!verify->check->nodes[i].is_here)
			rc = absent_say(verify, at);
		else
			rc = present_say(verify, at);
		if (!rc)
			rc = platforms_say(verify, at);
	}
	return rc;
}
