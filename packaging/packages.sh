# The Debian packages that building and testing need, in one place.
build_packages="gcc cmake ninja-build pkg-config libsqlite3-dev libjansson-dev
libxxhash-dev libzstd-dev libssl-dev libarchive-dev libisal-dev libcmocka-dev
libev-dev libmicrohttpd-dev libsystemd-dev"
tour_packages="skopeo jq sqlite3 zstd"
test_packages="skopeo umoci curl jq sqlite3 zstd clang clang-format libclang-rt-14-dev
e2fsprogs xfsprogs btrfs-progs mount util-linux attr libcap2-bin acl man-db
bash-completion expect strace xxd python3 procps tzdata"
# The tests start one of their own; any will do, and Debian's would take the
# place of Docker's own package where that is.
command -v containerd >/dev/null || test_packages="$test_packages containerd"
# Peers of bench/run; containerd is compared with where it is there.
bench_packages="skopeo umoci gdu jq liblmdb-dev"

# install_packages build|tour|test|bench ...: what is missing of these lists.
install_packages() {
	local list missing=() package
	for list; do
		list=${list}_packages
		for package in ${!list}; do
			dpkg-query -W -f '${Status}' "$package" 2>/dev/null |
				grep -q 'ok installed' || missing+=("$package")
		done
	done
	[ ${#missing[@]} -eq 0 ] && return
	echo "installing: ${missing[*]}" >&2
	local sudo=
	[ "$(id -u)" = 0 ] || sudo=sudo
	$sudo apt-get update -qq
	# RUNLEVEL: no daemon is started by a package.
	$sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install \
		-y -qq --no-install-recommends "${missing[@]}" >/dev/null
}
