# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by slurm/sandbox: writes the files of one sandbox below $dir. Needs nodes, cpus, gpus,
# declared, namespaces. What each unusual setting is for stands beside it.

write_configuration() {
  choose_ports
  head -c 128 /dev/urandom >"$dir/munge/key"
  chmod 600 "$dir/munge/key"
  local gpu node
  for gpu in $(seq 0 $((gpus - 1))); do ln -s /dev/null "$dir/dev/gpu$gpu"; done
  slurm_conf >"$dir/slurm.conf"
  gres_conf >"$dir/gres.conf"
  # Slurm's default fence makes a few launches over several nodes fail or hang in MPI_Init (Slurm 22.05
  # with Open MPI 4.1).
  echo "PMIxCollFence=ring" >"$dir/mpi.conf"
  {
    echo "127.0.0.1 localhost $(hostname -s)"
    for node in $(seq "$nodes"); do echo "127.0.0.1 node$node"; done
  } >"$dir/hosts"
  environment >"$dir/env"
  echo "namespaces=$namespaces nodes=$nodes unshare=(${unshare[*]})" >"$dir/settings"
}

# A free block of ports: the controller's and one for each node.
choose_ports() {
  local port free=no
  until [ $free = yes ]; do
    first_port=$((20000 + RANDOM % 600 * 16))
    free=yes
    for port in $(seq "$first_port" $((first_port + nodes))); do
      ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || free=no
    done
  done
}

slurm_conf() {
  local host user
  host=$(hostname -s)
  user=$(id -un)
  cat <<CONF
ClusterName=sandbox
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$first_port
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
CredType=cred/munge
# A requeued job waits for the life of its credential: 5 s instead of two minutes.
AuthInfo=socket=$dir/munge/socket,cred_expire=5
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmctldPidFile=$dir/run/slurmctld.own
SlurmdPidFile=$dir/run/slurmd.%n.own
SlurmctldLogFile=$dir/log/slurmctld
SlurmdLogFile=$dir/log/slurmd.%n
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool/%n
# PMIx makes a directory here; several nodes of one host must not share it.
TmpFS=$dir/tmp/%n
MailProg=/bin/true
# No cgroups needed.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
ReturnToService=1
# With less, a busy machine looks like a dead node.
SlurmdTimeout=60
KillWait=5
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,bf_interval=5
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
# Nodes may claim more cores than this machine has.
SlurmdParameters=config_overrides
JobCompType=jobcomp/filetxt
JobCompLoc=$dir/log/jobs
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
$(user_signal_at_preemption)
GresTypes=gpu
NodeName=node[1-$nodes] $(one_host) NodeAddr=127.0.0.1 Port=[$((first_port + 1))-$((first_port + nodes))] $(hardware) State=UNKNOWN
PartitionName=main Nodes=node[1-$nodes] Default=YES MaxTime=7-0 State=UP PriorityTier=1 GraceTime=15
PartitionName=high Nodes=node[1-$nodes] MaxTime=7-0 State=UP PriorityTier=10 PreemptMode=OFF
$(declared_nodes)
CONF
}

hardware() { echo "CPUs=$cpus RealMemory=16000$([ "$gpus" = 0 ] || echo " Gres=gpu:$gpus")"; }

one_host() { [ "$namespaces" = yes ] || echo "NodeHostname=$(hostname -s)"; }

user_signal_at_preemption() {
  case $(slurmctld -V) in
    *\ 2[0-2].*) echo "SlurmctldParameters=preempt_send_user_signal" ;;
    *) echo "PreemptParameters=send_user_signal" ;;
  esac
}

# Nodes of a cloud count as usable while they are switched off.
declared_nodes() {
  [ "$declared" -gt 0 ] || return 0
  cat <<CONF
SuspendProgram=/bin/true
ResumeProgram=/bin/true
SuspendTime=600
PrivateData=cloud
NodeName=big[1-$declared] $(hardware) State=CLOUD
PartitionName=big Nodes=big[1-$declared] MaxTime=7-0 State=UP
CONF
}

# Fake GPUs are links to /dev/null: with them Slurm sets CUDA_VISIBLE_DEVICES as for real ones.
gres_conf() {
  echo "AutoDetect=off"
  [ "$gpus" = 0 ] || echo "Name=gpu File=$dir/dev/gpu[0-$((gpus - 1))]"
}

# What a shell needs to use the sandbox; sbatch hands it on to jobs. Open MPI's settings are for nodes
# that are one machine: the loopback interface, waiting ranks leave the core, no node binds to the same
# first core as all others.
environment() {
  cat <<'ENV'
unset ${!SLURM@} ${!SBATCH@} ${!PMIX@} ${!OMPI@} || :
ENV
  cat <<ENV
export SLURM_CONF=$dir/slurm.conf
export OMPI_MCA_btl_tcp_if_include=lo OMPI_MCA_oob_tcp_if_include=lo OMPI_MCA_mpi_yield_when_idle=1
export OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_orte_tmpdir_base=$dir/tmp
ENV
  [ "$namespaces" = yes ] || echo "export OMPI_MCA_btl=self,tcp  # one /dev/shm for all nodes"
  [ "$(id -u)" != 0 ] || echo "export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1"
}
