#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The first process of a guest, User Mode Linux or QEMU alike.
#
# The root file system is the host's, read-only. An overlay in memory is laid
# over it, so that the guest may write everywhere and the host never notices;
# one folder, the exchange, is shared with the host for both directions:
#   init       this script
#   job        what to run, a shell script written by ./x
#   modules    one line of arguments of modprobe each
#   nvme       how many NVMe devices have to be there before the job starts
#   status     the exit status of the job, written here at the end
# ./x passes X_EXCHANGE, X_MODULES, X_HOST (hostfs or 9p) and X_MODE (run or
# shell) on the kernel's command line, and X_SHARED if several guests run side by
# side: a folder that they share.

PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH

power_off()
{
	busybox poweroff -f || poweroff -f || echo o >/proc/sysrq-trigger
	sleep 60
}

say()
{
	echo "copy-offload-init: $*" >/dev/kmsg
}

die()
{
	say "$*"
	power_off
}

# The host's file system as it is, then the same through the overlay.
enter_root()
{
	mount -t proc proc /proc || die "cannot mount /proc"
	mount -t sysfs sysfs /sys || die "cannot mount /sys"
	grep -q ' /dev devtmpfs ' /proc/mounts || mount -t devtmpfs devtmpfs /dev ||
		die "cannot mount /dev"
	# Not on /run: switch_root moves that along with /proc, /sys and /dev.
	mount -t tmpfs -o mode=755 tmpfs /mnt || die "cannot mount /mnt"
	mkdir -p /mnt/upper /mnt/work /mnt/root
	mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work \
		overlay /mnt/root || die "cannot lay an overlay over the root"
	mount -t tmpfs -o mode=755 tmpfs /mnt/root/run ||
		die "cannot mount /run"
	exec switch_root /mnt/root /bin/sh "$1" inside
}

# mount_hostfs FOLDER PLACE: mount(8) passes the options by name, or, before
# util-linux 2.39, as one text, which hostfs takes for the path as it is.
mount_hostfs()
{
	mount -t hostfs -o "hostfs=$1" none "$2" 2>/dev/null ||
		mount -t hostfs -o "$1" none "$2"
}

mount_exchange()
{
	mkdir -p /run/exchange
	case $X_HOST in
	hostfs)	mount_hostfs "$X_EXCHANGE" /run/exchange ;;
	9p)	mount -t 9p -o trans=virtio,version=9p2000.L,cache=none \
			exchange /run/exchange ;;
	esac || die "cannot mount the exchange folder"
	if [ -n "${X_SHARED-}" ]; then
		mkdir -p /run/shared
		mount_hostfs "$X_SHARED" /run/shared ||
			die "cannot mount the folder of several guests"
	fi
}

# The driver finds devices in the background. Slow machines take some seconds.
await_nvme()
{
	tries=300
	while [ "$(ls /dev | grep -c '^nvme[0-9]*n[0-9]*$')" -lt "$1" ]; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || die "no $1 NVMe devices in 30 s"
		sleep 0.1
	done
}

prepare()
{
	mkdir -p /dev/pts /dev/shm /run/lock
	mount -t devpts -o mode=620,ptmxmode=666 devpts /dev/pts
	mount -t tmpfs -o mode=1777 tmpfs /dev/shm
	ln -sf /proc/self/fd /dev/fd
	ln -sf /proc/self/fd/0 /dev/stdin
	ln -sf /proc/self/fd/1 /dev/stdout
	ln -sf /proc/self/fd/2 /dev/stderr
	mount -t debugfs debugfs /sys/kernel/debug
	mount -t tracefs tracefs /sys/kernel/tracing
	mount -t configfs configfs /sys/kernel/config
	mount -t cgroup2 cgroup2 /sys/fs/cgroup

	release=$(uname -r)
	mkdir -p "/lib/modules/$release"
	mount --bind "$X_MODULES" "/lib/modules/$release" ||
		die "cannot show the modules"
	while read -r line; do
		# Parameters are words of their own.
		# shellcheck disable=SC2086
		modprobe $line || die "cannot load: modprobe $line"
	done </run/exchange/modules
	await_nvme "$(cat /run/exchange/nvme)"
	hostname guest 2>/dev/null
	umask 022
}

# The devices that lead to ./x, as $out and $err.
channels()
{
	case $X_HOST in
	hostfs)
		out=/dev/tty1
		err=/dev/tty2
		for tty in $out $err; do
			stty -F "$tty" raw -echo || say "no channel $tty"
		done
		;;
	9p)
		for port in /sys/class/virtio-ports/*; do
			read -r name <"$port/name"
			case $name in
			out)	out=/dev/${port##*/} ;;
			err)	err=/dev/${port##*/} ;;
			esac
		done
		;;
	esac
}

# Runs the job with its output on pipes that any process may open again.
run_job()
{
	channels
	mkfifo /run/out /run/err
	cat </run/out >"$out" &
	pump_out=$!
	cat </run/err >"$err" &
	pump_err=$!
	setsid sh /run/exchange/job </dev/null >/run/out 2>/run/err
	status=$?
	# A process left behind by the job may hold a pipe open: do not wait long.
	(sleep 2; kill $pump_out $pump_err) 2>/dev/null &
	wait $pump_out $pump_err 2>/dev/null
}

# Runs the job on a terminal of its own.
run_shell()
{
	case $X_HOST in
	hostfs)	tty=/dev/tty1 ;;
	9p)	tty=/dev/hvc0 ;;
	esac
	stty -F "$tty" sane
	setsid -c sh /run/exchange/job <>"$tty" >&0 2>&1
	status=$?
}

finish()
{
	echo "$status" >/run/exchange/status.new
	mv /run/exchange/status.new /run/exchange/status
	sync
	power_off
}

case ${1-} in
inside)
	mount_exchange
	prepare
	case $X_MODE in
	shell)	run_shell ;;
	*)	run_job ;;
	esac
	finish
	;;
*)
	enter_root "$0"
	;;
esac
