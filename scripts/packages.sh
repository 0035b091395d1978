# shellcheck shell=bash
# shellcheck disable=SC2034
# Which Debian packages what needs. Sourced by setup and debian13.

# build and run; names are the same in Debian 12 and 13
PACKAGES_BUILD=(gcc libc6-dev pkg-config meson ninja-build
	libyajl-dev libuv1-dev libmbedtls-dev libssh2-1-dev libsodium-dev libcurl4-openssl-dev libxml2-dev libyaml-dev libcmocka-dev
	scdoc openssh-client ca-certificates git)

# scripts/build-image
PACKAGES_IMAGE=(mmdebstrap debian-archive-keyring zstd jq cpio kmod e2fsprogs fdisk dosfstools mtools
	syslinux syslinux-common systemd-boot-efi qemu-utils uidmap)

# a machine on this computer with the driver $1: its image, its driver, a docker client
packages_local() {
	PACKAGES_LOCAL=(mmdebstrap debian-archive-keyring zstd jq iproute2 iptables docker.io busybox-static)
	case $1 in
	nspawn) PACKAGES_LOCAL+=(systemd-container dbus) ;;
	qemu) PACKAGES_LOCAL+=(qemu-system-x86 qemu-utils cpio kmod e2fsprogs uidmap) ;;
	*) return 1 ;;
	esac
	# the client is a package of its own since Debian 13
	[ "$2" = 12 ] || PACKAGES_LOCAL+=(docker-cli)
}

# tests, lint, fuzzing, benchmarks; $1: the version of clang
packages_tests() {
	local clang=$1
	PACKAGES_TESTS=(python3 python3-pytest python3-pytest-xdist python3-jsonschema python3-libcloud
		openssh-server openssl curl sudo util-linux procps
		mmdebstrap systemd-container dbus iproute2 iptables debian-archive-keyring
		docker.io busybox-static fakeroot rsync sshfs qemu-system-x86 qemu-utils ovmf dnsmasq-base genisoimage
		awscli
		"clang-$clang" "libclang-rt-$clang-dev" "clang-format-$clang" "clang-tidy-$clang"
		shellcheck valgrind strace zsh fish man-db dpkg-dev debhelper lintian)
	case $clang in
	14) PACKAGES_TESTS+=(python3-digitalocean) ;; # gone in Debian 13
	*) PACKAGES_TESTS+=(docker-cli) ;;            # the client is a package of its own since Debian 13
	esac
}

# the version of clang that a Debian release ($1: its VERSION_ID) brings
clang_of() {
	case $1 in
	12) echo 14 ;;
	13) echo 19 ;;
	*) return 1 ;;
	esac
}
