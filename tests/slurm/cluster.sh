#!/usr/bin/env bash
# A SLURM cluster of one node on this machine's loopback, for tests: as root, without systemd, all its files in FOLDER.
#   cluster.sh start FOLDER [CPUS]     prints what to export
#   cluster.sh stop FOLDER
set -euo pipefail
command=$1
home=$(readlink -f "$2")
cpus=${3:-2}
name=$(hostname -s)

start() {
    mkdir -p "$home"/{state,spool,log}
    chmod 755 "$home"
    if ! munge -n >/dev/null 2>&1; then # no daemon of another's runs
        if [ ! -s /etc/munge/munge.key ]; then
            dd if=/dev/urandom of=/etc/munge/munge.key bs=1 count=1024 status=none
        fi
        mkdir -p /run/munge
        chown munge:munge /etc/munge/munge.key /run/munge
        chmod 0400 /etc/munge/munge.key
        chmod 0755 /run/munge
        runuser -u munge -- /usr/sbin/munged --pid-file "/run/munge/munged.pid" --log-file /run/munge/munged.log
        cp /run/munge/munged.pid "$home/munged.pid"
    fi
    cat >"$home/slurm.conf" <<END
ClusterName=test
SlurmctldHost=$name(127.0.0.1)
SlurmctldPort=16817
SlurmdPort=16818
AuthType=auth/munge
SlurmUser=root
SlurmdUser=root
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
MpiDefault=none
SchedulerParameters=sched_interval=2,defer
KillWait=5
StateSaveLocation=$home/state
SlurmdSpoolDir=$home/spool
SlurmctldPidFile=$home/slurmctld.pid
SlurmdPidFile=$home/slurmd.pid
SlurmctldLogFile=$home/log/slurmctld.log
SlurmdLogFile=$home/log/slurmd.log
NodeName=$name NodeAddr=127.0.0.1 CPUs=$cpus RealMemory=8000 State=UNKNOWN
PartitionName=main Nodes=$name Default=YES MaxTime=INFINITE State=UP
END
    export SLURM_CONF=$home/slurm.conf
    slurmctld -f "$SLURM_CONF"
    slurmd -f "$SLURM_CONF"
    for _ in $(seq 100); do
        if sinfo --noheader -o %t 2>/dev/null | grep -q idle; then
            echo "SLURM_CONF=$SLURM_CONF"
            return
        fi
        sleep 0.2
    done
    cat "$home"/log/*.log >&2
    exit 1
}

stop() {
    export SLURM_CONF=$home/slurm.conf
    scancel --user=root 2>/dev/null || true
    for daemon in slurmd slurmctld munged; do
        if [ -s "$home/$daemon.pid" ]; then
            kill "$(cat "$home/$daemon.pid")" 2>/dev/null || true
        fi
    done
}

"$command"
