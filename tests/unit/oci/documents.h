/*
 * tests/unit/oci/documents.h - small documents that several tests use.
 */
#ifndef UL_TESTS_UNIT_OCI_DOCUMENTS_H
#define UL_TESTS_UNIT_OCI_DOCUMENTS_H

#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define HEX_C "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
#define SHA_A "sha256:" HEX_A
#define SHA_B "sha256:" HEX_B
#define SHA_C "sha256:" HEX_C

#define TYPE_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define TYPE_INDEX "application/vnd.oci.image.index.v1+json"
#define TYPE_CONFIG "application/vnd.oci.image.config.v1+json"
#define TYPE_LAYER "application/vnd.oci.image.layer.v1.tar+gzip"
#define TYPE_DOCKER "application/vnd.docker.distribution.manifest."

/* A descriptor with nothing but what it has to have. */
#define DESC(digest) "{\"digest\":\"" digest "\",\"size\":7}"

#define CONFIG_A                                                               \
	"\"config\":{\"mediaType\":\"" TYPE_CONFIG "\",\"digest\":\"" SHA_A    \
	"\",\"size\":1}"
#define LAYER_B                                                                \
	"{\"mediaType\":\"" TYPE_LAYER "\",\"digest\":\"" SHA_B "\",\"size\":" \
	"2}"
#define MANIFEST                                                               \
	"{\"schemaVersion\":2,\"mediaType\":\"" TYPE_MANIFEST "\"," CONFIG_A   \
	",\"layers\":[" LAYER_B "]}"

#endif
