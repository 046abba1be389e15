#!/bin/sh
# Two hosts on one machine: network namespaces joined by a veth pair whose rate is
# limited, one rank in each. Prints bytes on the wire and milliseconds a step.
# Needs root, Open MPI, ip and tc (Debian: openmpi-bin, iproute2).
#
#   scripts/two_hosts.sh RATE -- ecospa pretrain ...     RATE as tc has it: 1gbit, 10gbit
set -eu
rate=$1
shift 2
dir=$(mktemp -d)
clean() {
	ip netns del eco-a 2>/dev/null || true
	ip netns del eco-b 2>/dev/null || true
	rm -rf "$dir"
}
trap clean EXIT INT TERM
clean && dir=$(mktemp -d)
ip netns add eco-a
ip netns add eco-b
ip link add veth-a netns eco-a type veth peer name veth-b netns eco-b
ip -n eco-a addr add 10.77.0.1/24 dev veth-a
ip -n eco-b addr add 10.77.0.2/24 dev veth-b
for s in a b; do
	ip -n eco-$s link set lo up
	ip -n eco-$s link set veth-$s up
	ip netns exec eco-$s tc qdisc add dev veth-$s root tbf rate "$rate" burst 1mb latency 50ms
done
# mpirun starts its daemon on the other host through this.
cat >"$dir/agent" <<'AGENT'
#!/bin/sh
shift
exec ip netns exec eco-b sh -c "$*"
AGENT
chmod +x "$dir/agent"
sent() { ip netns exec eco-a cat /sys/class/net/veth-a/statistics/tx_bytes; }
before=$(sent)
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
# Each daemon would bind its rank to the first core: the same one.
ip netns exec eco-a mpirun -np 2 --bind-to none --host 10.77.0.1:1,10.77.0.2:1 --mca plm_rsh_agent "$dir/agent" \
	--mca btl tcp,self --mca btl_tcp_if_include 10.77.0.0/24 --mca oob_tcp_if_include 10.77.0.0/24 "$@"
echo "bytes sent by rank 0: $(($(sent) - before))"
