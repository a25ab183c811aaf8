#!/bin/bash
# Layers made by hand: unpacked by us into overlayfs form, mounted, and compared
# with what umoci makes of the same image: names, types, modes, owners, times,
# xattrs, hard links, bytes.
#
# Needs root (devices, owners, mounts), umoci and jq.
# Usage: unpack_as_umoci.sh DIRECTORY_OF_TEST_TOOLS
set -euo pipefail

tools=$1
work=$(mktemp -d)
failed=0
count=0

cleanup() {
	if mountpoint -q "$work/merged"; then umount "$work/merged"; fi
	rm -rf "$work"
}
trap cleanup EXIT

blob_add() { # FILE: put it among the blobs; prints its digest's hex
	local hex
	hex=$(sha256sum <"$1" | cut -d' ' -f1)
	cp "$1" "$work/image/blobs/sha256/$hex"
	echo "$hex"
}

descriptor() { # TYPE HEX
	jq -nc --arg type "$1" --arg digest "sha256:$2" \
		--argjson size "$(stat -c %s "$work/image/blobs/sha256/$2")" \
		'{mediaType: $type, digest: $digest, size: $size}'
}

image_make() { # PACKED...: an OCI layout with one image of these layers
	local type=application/vnd.oci.image diffs=() layers=() packed hex
	rm -rf "$work/image"
	mkdir -p "$work/image/blobs/sha256"
	echo '{"imageLayoutVersion":"1.0.0"}' >"$work/image/oci-layout"
	for packed; do
		hex=$(blob_add "$packed")
		layers+=("$(descriptor $type.layer.v1.tar+gzip "$hex")")
		diffs+=("\"sha256:$(gzip -dcq "$packed" | sha256sum |
			cut -d' ' -f1)\"")
	done
	jq -nc '{architecture: "amd64", os: "linux", config: {},
		rootfs: {type: "layers", diff_ids: $ARGS.positional}}' \
		--jsonargs "${diffs[@]}" >"$work/config"
	hex=$(blob_add "$work/config")
	jq -nc --argjson config "$(descriptor $type.config.v1+json "$hex")" \
		'{schemaVersion: 2, config: $config, layers: $ARGS.positional}' \
		--jsonargs "${layers[@]}" >"$work/manifest"
	hex=$(blob_add "$work/manifest")
	descriptor $type.manifest.v1+json "$hex" | jq -c '{schemaVersion: 2,
		manifests: [. + {annotations:
			{"org.opencontainers.image.ref.name": "t"}}]}' \
		>"$work/image/index.json"
}

layers_apply() { # PACKED...: into $work/layers/N
	local packed number=0 below=()
	rm -rf "$work/layers"
	for packed; do
		number=$((number + 1))
		mkdir -p "$work/layers/$number"
		"$tools/layer_tool" "$packed" "$work/layers/$number" \
			"${below[@]}" >/dev/null
		below=("$work/layers/$number" "${below[@]}")
	done
	mkdir -p "$work/merged" "$work/empty"
	local IFS=:
	mount -t overlay overlay -o \
		"ro,lowerdir=${below[*]}:$work/empty" "$work/merged"
}

packed_make() { # [how] <DESCRIPTION: prints the file's name
	local packed
	packed=$(mktemp -p "$work" layer.XXXXXX)
	"$tools/tar_tool" >"$packed.tar"
	case ${1:-gzip} in
	gzip) gzip -nc "$packed.tar" >"$packed" ;;
	members) # several gzip members, cut where no header begins
		split -b 700 "$packed.tar" "$packed.part."
		for part in "$packed".part.*; do gzip -nc "$part"; done \
			>"$packed"
		rm "$packed".part.*
		;;
	padded) # zero bytes after the tar's end
		head -c 30000 /dev/zero >>"$packed.tar"
		gzip -nc "$packed.tar" >"$packed"
		;;
	esac
	rm "$packed.tar"
	echo "$packed"
}

# Compare an image of these packed layers. Both prints go through the sed
# script in $differs first: the caller sets it, with its reason, where the two
# must differ. Where umoci cannot read a layer, $umoci_top takes its place as
# the last one there.
differs=
umoci_top=
compare() { # NAME PACKED...
	local name=$1
	shift
	count=$((count + 1))
	image_make "${@:1:$#-1}" "${umoci_top:-${*: -1}}"
	rm -rf "$work/bundle"
	umoci --log=error unpack --image "$work/image:t" "$work/bundle"
	layers_apply "$@"
	"$tools/treecmp" "$work/bundle/rootfs" | sed -E "$differs" \
		>"$work/umoci.txt"
	"$tools/treecmp" "$work/merged" | sed -E "$differs" >"$work/ours.txt"
	umount "$work/merged"
	if diff -u "$work/umoci.txt" "$work/ours.txt"; then
		echo "ok: $name ($(wc -l <"$work/ours.txt") objects)"
	else
		echo "FAILED: $name (- umoci, + ours)"
		failed=1
	fi
}

base() {
	cat <<-'END'
		dir ./ mtime=100 mode=0755
		dir usr mtime=101.123456789 mode=0711 uid=5 gid=6 xattr:user.u=1
		dir usr/lib mtime=102.5 mode=2775 gid=50 xattr:user.k=v
		file usr/lib/a mtime=103 mode=4755 data=hello
		symlink lib mtime=104.000000001 link=usr/lib uid=3
		symlink abslib mtime=104 link=/usr/lib
		symlink up mtime=104 link=../../../../usr
		dir dir mtime=105 mode=0700 uid=12 gid=13
		file dir/x mtime=106 data=x
		file dir/y mtime=106.000000001 data=y
		dir dir/sub mtime=107
		file dir/sub/z mtime=107 data=z
		dir gone mtime=108
		file gone/f mtime=108 data=f
		file plain mtime=109 uid=99 gid=98 data=plain
		dir opq mtime=110 mode=1777
		file opq/old mtime=110 data=old
		dir opq/olddir mtime=110
		file opq/olddir/f mtime=110 data=old
	END
}
base=$(base | packed_make)

compare "base alone" "$base"

compare "files of all types" "$base" "$(packed_make <<'END'
dir ./ mtime=1 mode=0750
dir dev mtime=2
char dev/null dev=1:3 mode=0666 mtime=2.9
block dev/sda dev=8:300 mode=0660 gid=6 mtime=3
fifo dev/pipe mode=0600 uid=1 mtime=4
file empty mtime=5.999999999 mode=0
file bits mtime=5 mode=6755 uid=1000 gid=1000 data=x
dir sticky mtime=6 mode=1777
dir setgid mtime=6 mode=2755 gid=7
file setgid/f mtime=6 data=f
dir setgid/d mtime=6
symlink dangling link=/nowhere mtime=7 uid=4
file big mtime=8 fill=3000000
file bigid mtime=8 uid=4000000000 gid=4000000001 data=x
file name%20with%20spaces mtime=8 data=x
file latin%e9 mtime=8 data=x
file utf8%c3%a9 mtime=8 data=x
file nfd-e%cc%81 mtime=8 data=x
file kelvin%e2%84%aa mtime=8 data=x
symlink latinlink%e9 link=t%e9 mtime=8
END
)"

compare "xattrs and capabilities" "$base" "$(packed_make <<'END'
file cap mode=0755 mtime=1 data=c hex:security.capability=0100000200040000000000000000000000000000
file capuid mode=0755 uid=7 mtime=1 data=c hex:security.capability=0100000200200000000000000000000000000000
file attrs mtime=1 data=c xattr:user.one=1 xattr:user.two=zwei xattr:trusted.three=3
dir attrdir mtime=1 xattr:user.dir=yes
symlink attrlink link=attrs mtime=1 xattr:trusted.link=yes
file binary mtime=1 data=c hex:user.binary=00ff0a3d00
dir usr mtime=5 xattr:user.other=2
END
)"

compare "POSIX ACLs as xattrs" "$base" "$(packed_make <<'END'
file acl mode=0664 mtime=1 data=c hex:system.posix_acl_access=0200000001000600ffffffff020006000a00000004000400ffffffff10000600ffffffff20000400ffffffff
END
)"

compare "whiteouts" "$base" "$(packed_make <<'END'
file .wh.gone
file dir/.wh.x
file dir/sub/.wh.z
file .wh.plain
file .wh.lib
file .wh.notthere
file usr/lib/.wh.notthere
file usr/.wh.lib
END
)"

# umoci gives directories today's date when a whiteout comes after what the
# layer has in them; ours keep the time that the layers say.
differs='/^dir /s/ mtime=[^ ]*//'
compare "whiteouts and entries of one layer, both orders" "$base" \
	"$(packed_make <<'END'
file .wh.gone
dir gone mtime=1
file gone/new data=1 mtime=1
file plain data=new mtime=2
file .wh.plain
file dir/new data=2 mtime=3
file .wh.dir
file .wh.lib
file lib data=now-a-file mtime=4
END
)"

differs=

compare "opaque, before and after its entries" "$base" "$(packed_make <<'END'
dir opq mtime=1
file opq/.wh..wh..opq
file opq/new data=n mtime=1
file dir/new data=n mtime=2
dir dir mtime=3 mode=0755
file dir/.wh..wh..opq
file dir/new2 data=n mtime=2
dir usr/lib mtime=3
file usr/lib/.wh.a
file usr/lib/.wh..wh..opq
END
)"

compare "opaque directory that the layer does not list" "$base" \
	"$(packed_make <<'END'
file opq/.wh..wh..opq
file dir/sub/.wh..wh..opq
END
)"

differs='/ type=d /s/ mtime=[^ ]*//' # as above, and the unlisted one
compare "hidden after whiteouts and links needed it" "$base" \
	"$(packed_make <<'END'
file dir/sub/.wh..wh..opq
file dir/.wh..wh..opq
link lplain link=plain mtime=109
file .wh.plain
link lx link=opq/old mtime=110
file .wh.opq
file usr/lib/.wh.a
file .wh.usr
END
)" "$(packed_make <<'END'
file dir/again data=1 mtime=2
dir usr mtime=3 mode=2755 gid=8
file usr/unlisted/f data=1 mtime=2
END
)"
differs='/^dir /s/ mtime=[^ ]*//' # as above
compare "opaque root" "$base" "$(packed_make <<'END'
dir dir mtime=3
file dir/kept data=n mtime=2
file .wh..wh..opq
dir usr mtime=1
file usr/kept data=n mtime=2
file plain data=n mtime=2
END
)"

differs=

compare "below linked directories" "$base" "$(packed_make <<'END'
file lib/b data=in-lib mtime=1.25
file abslib/c data=in-lib mtime=1.5
file up/d data=in-usr mtime=1.75
dir lib/sub mtime=2
file up/lib/sub/e data=e mtime=2
file lib/.wh.a
END
)"

compare "a link of the same layer" "$base" "$(packed_make <<'END'
dir real mtime=1
symlink link link=real mtime=1
file link/f data=1 mtime=1
symlink link2 link=./link/../link mtime=1
file link2/g data=2 mtime=1
END
)" "$(packed_make <<'END'
file link2/h data=3 mtime=2
file real/.wh.f
file .wh.link
END
)"

compare "a link replaced, never followed" "$base" "$(packed_make <<'END'
dir lib mtime=1
file lib/own data=1 mtime=1
file abslib data=file mtime=1
symlink up link=dir mtime=1
file up/through data=1 mtime=1
END
)"

compare "hard links" "$base" "$(packed_make <<'END'
file one data=1 mtime=1 xattr:user.x=1
link two link=one
link lib/three link=./two
symlink sl link=one mtime=2
link sl2 link=sl
fifo p mtime=3
link p2 link=p
END
)"

compare "hard links to lower layers" "$base" "$(packed_make <<'END'
link hx link=dir/x mtime=106
link dir/hx2 link=hx mtime=106
link ha link=lib/a mode=4755 mtime=103
link hlib link=abslib mtime=104
END
)"

compare "replacing across types" "$base" "$(packed_make <<'END'
dir plain mtime=1
file plain/in data=1 mtime=1
file dir data=now-a-file mtime=1
symlink gone link=plain mtime=1
file opq/olddir data=f mtime=1
dir opq/old mtime=1
END
)" "$(packed_make <<'END'
file plain data=2 mtime=2
dir dir mtime=2
file dir/new data=2 mtime=2
dir gone mtime=2
END
)"

compare "duplicates in one layer" "$base" "$(packed_make <<'END'
file dup data=1 mtime=1 xattr:user.x=1
file dup data=22 mtime=2
dir d mtime=1 xattr:user.x=1
file d/f data=1 mtime=1
dir d mtime=2 mode=0700 xattr:user.y=1
symlink s link=a mtime=1
symlink s link=b mtime=2
dir t mtime=1
file t/f data=1 mtime=1
file t data=now-a-file mtime=1
file v data=1 mtime=1
dir v mtime=2
file usr data=hides-what-is-below mtime=1
dir usr mtime=2
file usr/only data=1 mtime=2
END
)"

# umoci gives them and the root today's date; what we give them, see below.
differs='/ type=d /s/ mtime=[^ ]*//'
compare "unlisted directories that no layer has" "$(packed_make <<'END'
file un/listed/deep/f data=1 mtime=5
END
)"
differs=

compare "unlisted directories of a lower layer" "$base" "$(packed_make <<'END'
file dir/sub/new data=1 mtime=1
file usr/lib/new data=1 mtime=1
END
)"

compare "several gzip members" "$base" "$(packed_make members <<'END'
dir m mtime=1
file m/f fill=5000 mtime=1
file m/g fill=5000 mtime=2
END
)"

compare "bytes after the tar's end" "$base" "$(packed_make padded <<'END'
file m fill=5000 mtime=1
END
)"

# umoci takes them for whiteouts of ".wh.plnk" and the like, and makes the
# directory's content; containerd leaves all of it out, as we do.
differs='/^\.wh\.\.wh\./d; /^\. /s/ mtime=[^ ]*//'
compare "aufs metadata" "$base" "$(packed_make <<'END'
dir .wh..wh.plnk mtime=1
file .wh..wh.plnk/123.456 data=1 mtime=1
file .wh..wh.aufs mtime=1
file f data=1 mtime=1
END
)"

differs=

compare "many layers" "$base" \
	"$(packed_make <<<'file lib/1 data=1 mtime=1')" \
	"$(packed_make <<<'file lib/2 data=2 mtime=2')" \
	"$(packed_make <<<'file usr/lib/.wh.1')" \
	"$(packed_make <<<'link hard link=lib/2 mtime=2')" \
	"$(packed_make <<<'file .wh.usr')" \
	"$(packed_make <<-'END'
		dir usr mtime=9
		dir usr/lib mtime=9
		file lib/9 data=9 mtime=9
	END
	)"

# Sparse files: the same bytes, and ours stay sparse. umoci refuses the GNU
# form, it gets the other one.
sparse=$(mktemp -d -p "$work")
truncate -s 20M "$sparse/holes"
printf start | dd of="$sparse/holes" conv=notrunc status=none
printf middle | dd of="$sparse/holes" bs=1M seek=10 conv=notrunc status=none
truncate -s 3M "$sparse/only-hole"
for format in posix gnu; do
	if [ $format = gnu ]; then umoci_top=$packed; fi
	packed=$(mktemp -p "$work" layer.XXXXXX)
	tar -C "$sparse" --format=$format --sparse --mtime=@5 \
		-cf - holes only-hole | gzip -n >"$packed"
	compare "sparse files, $format" "$base" "$packed"
	blocks=$(stat -c %b "$work/layers/2/holes")
	if [ "$blocks" -gt 64 ]; then
		echo "FAILED: $blocks blocks for a sparse file"
		failed=1
	fi
done
umoci_top=

# Directories that no layer lists are ours alone to define.
layers_apply "$(packed_make <<<'file un/listed data=1 mtime=5')"
umount "$work/merged"
unlisted=$("$tools/treecmp" "$work/layers/1" | grep -vE '^un/listed')
expected='. type=d mode=0755 uid=0 gid=0 mtime=0.000000000
un type=d mode=0755 uid=0 gid=0 mtime=5.000000000'
if [ "$unlisted" != "$expected" ]; then
	echo "FAILED: unlisted directories are"
	echo "$unlisted"
	failed=1
fi

echo "$count images compared"
exit $failed
