# Installs what Cardea's private services need on Debian and its children. Run as root with the
# names of what is missing: postgres, redis, compiler, chromium, node.
#
# It starts no system service and leaves none enabled that would do anything:
#   redis     The package redis-server brings and starts a service. Its program is only another name
#             for redis-check-rdb, which redis-tools has, without a service.
#   postgres  A new server package creates a cluster "main" that a service starts at boot, unless
#             create_main_cluster is off; without a cluster the service has nothing to start. A
#             drop-in file says so while we install, and goes away again: clusters that exist, and
#             the administrator's own settings, stay as they are.
# A policy-rc.d that forbids services would be the other way. It would have to replace the
# administrator's own for a while, and services would still be enabled for the next boot.
export DEBIAN_FRONTEND=noninteractive
apt="apt-get -q -y -o DPkg::Lock::Timeout=300"

# Package lists may be missing or old, and then name files that are gone. Without a network, go on
# with what is there.
$apt update || true

packages=""
for name in "$@"; do
	case "$name" in
	postgres)
		newest=$(apt-cache pkgnames postgresql- | sed -n 's/^postgresql-\([0-9][0-9]*\)$/\1/p' |
			sort -n | tail -n 1)
		if [ "${newest:-0}" -lt 15 ]; then
			echo "apt offers no PostgreSQL 15 or newer: add https://apt.postgresql.org" >&2
			exit 1
		fi
		packages="$packages postgresql-$newest"
		;;
	redis) packages="$packages redis-tools" ;;
	compiler) packages="$packages gcc libc6-dev" ;;
	chromium) packages="$packages chromium" ;;
	node) packages="$packages npm" ;;
	esac
done

dropins=/etc/postgresql-common/createcluster.d
dropin=$dropins/cardea-install.conf
undo() {
	rm -f "$dropin"
	rmdir "$dropins" 2>/dev/null || true
}
trap undo EXIT
mkdir -p "$dropins"
echo "create_main_cluster = false" >"$dropin"
# shellcheck disable=SC2086 # words on purpose
$apt install --no-install-recommends $packages
