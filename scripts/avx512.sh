#!/usr/bin/env bash
# Runs tests of the kernels on an emulated processor with AVX-512, AVX512-VNNI and AVX512-BF16: Bochs boots
# a Linux kernel whose first process runs them. Nothing about time can be learned from it.
#
#   scripts/avx512.sh WORK [COMMANDS]
#
# WORK is a directory for what is built; the output of the machine is left in WORK/serial. COMMANDS
# is a file, each line a directory and a command with its arguments, in which /kernel, /train and
# /ecospa are the tests of those packages and the program; without it the tests of pkg/kernel run.
#
# It needs Debian's packages isolinux, syslinux-common and genisoimage, and of the environment:
#
#   BOCHS_SOURCE  a directory with the source of Bochs (bochs/ of github.com/bochs-emu/Bochs), which is
#                 built in WORK, with two changes: the model of a processor, Skylake-X, says that it has
#                 AVX512-VNNI and AVX512-BF16, and a fault is mended (docs/results/avx512.md)
#   BOCHS         a program that was built so before, instead; BXSHARE is then the directory with its BIOS
#   VMLINUZ       a Linux kernel, default that of Debian's linux-image-cloud-amd64, which is fetched
#   LIMIT         seconds after which the machine is switched off, default 3600
set -euo pipefail
[ $# -ge 1 ] || { echo "usage: scripts/avx512.sh WORK [COMMANDS]" >&2; exit 2; }
mkdir -p "$1"
work=$(cd "$1" && pwd)
commands=${2:+$(realpath "$2")}
cd "$(dirname "$0")/.."
bochs=${BOCHS:-$work/bochs/bochs} share=${BXSHARE:-$work/source/bios}

if [ ! -x "$bochs" ]; then
  cp -r "${BOCHS_SOURCE:?see the top of this script}" "$work/source"
  # Leaf 7 of CPUID: one more subleaf, VNNI, and BF16 in that subleaf.
  perl -0pi -e 's/(::get_std_cpuid_leaf_7\(.*?leaf->eax = )0(;.*?leaf->ecx = )0(;\s*leaf->edx = 0;\s*break;)/${1}1${2}1 << 11$3 case 1: leaf->eax = 1 << 5; leaf->ebx = leaf->ecx = leaf->edx = 0; break;/s' \
    "$work/source/cpu/cpudb/intel/corei7_skylake-x.cc"
  # The upper half of VCVTNE2PS2BF16 was read from behind the register.
  sed -i 's/bfloat16(op1.vmm32u(n))/bfloat16(op1.vmm32u(n - DWORD_ELEMENTS(len)))/' "$work/source/cpu/avx/avx512_bf16.cc"
  mkdir -p "$work/bochs"
  (cd "$work/bochs" && ../source/configure --enable-cpu-level=6 --enable-x86-64 --enable-avx --enable-evex \
    --enable-all-optimizations --disable-docbook --with-nogui && make) >"$work/bochs.log" 2>&1 ||
    { tail -20 "$work/bochs.log"; exit 1; }
fi
vga=$(find "$share" -name VGABIOS-lgpl-latest.bin)
isolinux=$(ls /usr/lib/ISOLINUX/isolinux.bin) ldlinux=$(ls /usr/lib/syslinux/modules/bios/ldlinux.c32)

vmlinuz=${VMLINUZ:-}
if [ -z "$vmlinuz" ]; then
  name=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/ *Depends: //p' | head -1)
  [ -e "$work/$name" ] || (cd "$work" && apt-get download "$name" && dpkg-deb -x "$name"_*.deb "$name")
  vmlinuz=$(ls "$work/$name"/boot/vmlinuz-*)
fi

# What the machine runs.
export CGO_ENABLED=0
go build -o "$work/init" ./scripts/avx512
go test -c -ldflags '-s -w' -o "$work/kernel" ./pkg/kernel
files=("kernel=$work/kernel")
if [ -n "$commands" ]; then
  go build -ldflags '-s -w' -o "$work/ecospa" .
  go test -c -ldflags '-s -w' -o "$work/train" ./pkg/train
  files+=("ecospa=$work/ecospa" "train=$work/train")
else
  commands=$work/commands
  # Tests whose subtests are paths, and those whose subtests have one a path, on the widest
  # path. q8_0 as integers gives the same bits on every path, and runs on all. What measures is left out.
  deep='AdamW|AdamW16|Add|AddRows|AddRowsAt|AddScaled|AddScaledRows|Attention|AttentionBounds|AttentionRefusesStarts|BiasGrad|ClassMean|DistillLoss|Embed|GELU|GateDot|GeGLU|HeadLoss|LayerNorm|PagedAttentionInPieces|Patches|Prepend|ProjectRows|QKNorm|RMSNorm|RoPE|Scale|ScaleColumns|SelectRow|SoftCap|SwiGLU|VectorAccuracy|VectorLoss|WeightedSum'
  cat >"$commands" <<END
/tmp /kernel -test.timeout 0 -test.run ^TestInt8Mul$|^TestMatMulInt8
/tmp /kernel -test.timeout 0 -test.skip ^Test($deep|Roofline|.*Panics|.*Allocates)$ -test.run ./^avx512
/tmp /kernel -test.timeout 0 -test.run ^Test($deep)$/./^avx512
END
fi
mkdir -p "$work/cd"
"$work/init" pack "$work/cd/initrd" "$commands" "${files[@]}"
cp "$vmlinuz" "$work/cd/vmlinuz"
cp "$isolinux" "$ldlinux" "$work/cd"
cat >"$work/cd/isolinux.cfg" <<'END'
DEFAULT linux
LABEL linux
KERNEL vmlinuz
INITRD initrd
APPEND console=ttyS0 quiet nokaslr mitigations=off nopti lsm=none
END
genisoimage -quiet -o "$work/cd.iso" -b isolinux.bin -c boot.cat -no-emul-boot -boot-load-size 4 -boot-info-table "$work/cd"

cat >"$work/bochsrc" <<END
display_library: nogui
megs: 1024
romimage: file="$share/BIOS-bochs-latest", options=fastboot
vgaromimage: file="$vga"
cpu: model=corei7_skylake_x, add_features="avx512vnni,avx512bf16", count=1, ips=400000000, reset_on_triple_fault=0, ignore_bad_msrs=1
clock: sync=none
ata0-master: type=cdrom, path="$work/cd.iso", status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev="$work/serial"
log: "$work/bochs.out"
panic: action=fatal
END
rm -f "$work/serial"
started=$SECONDS
"$bochs" -q -f "$work/bochsrc" >"$work/bochs.console" 2>&1 </dev/null &
machine=$!
trap 'kill $machine 2>/dev/null || true' EXIT
while kill -0 $machine 2>/dev/null && [ $((SECONDS - started)) -lt "${LIMIT:-3600}" ] && ! grep -qs '^== cannot' "$work/serial"; do
  sleep 1
done

grep -a '^== ' "$work/serial" | tr -d '\r' | cut -c1-200 || true
grep -a '^ *--- FAIL' "$work/serial" || true
for flag in avx512f avx512_vnni avx512_bf16; do
  grep -q "^== cpu flags.* $flag" "$work/serial" || { echo "avx512: the emulated processor has no $flag"; exit 1; }
done
grep -q '^== end' "$work/serial" || { echo "avx512: did not come to an end, see $work/serial and $work/bochs.out"; exit 1; }
if grep -q '^== failed' "$work/serial"; then exit 1; fi
echo "avx512: passed in $((SECONDS - started)) s"
