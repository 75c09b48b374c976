#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The peers of our kernels that live in Python: torch's scaled products, a Triton product, compiled quantisation.

Prints a line for each row and adds lines of JSON to --out, in the form that dsv3_cuda_bench --table reads. Each result is
checked before it is timed. Needs torch and triton; exit status 77 without them or without a Hopper device.
"""
import argparse
import json
import statistics
import sys

try:
    import torch
    import triton
    import triton.language as tl
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

GROUP = 128
FP8 = torch.float8_e4m3fn
LAYERS = [(2112, 7168), (24576, 1536), (32768, 512), (7168, 16384), (4096, 7168), (7168, 2048)]


@triton.jit
def block_scaled_product(a, b, out, a_scales, b_scales, M, N, K, BM: tl.constexpr, BN: tl.constexpr, G: tl.constexpr):
    """out [M, N] = a [M, K] b [N, K]^T; a in tiles of 1xG (scales M-major), b in blocks of GxG. K a multiple of G."""
    steps = K // G
    rows = tl.program_id(0) * BM + tl.arange(0, BM)
    cols = tl.program_id(1) * BN + tl.arange(0, BN)
    depth = tl.arange(0, G)
    total = tl.zeros((BM, BN), dtype=tl.float32)
    for step in range(steps):
        k = step * G + depth
        a_tile = tl.load(a + rows[:, None] * K + k[None, :], mask=rows[:, None] < M, other=0.0)
        b_tile = tl.load(b + cols[None, :] * K + k[:, None], mask=cols[None, :] < N, other=0.0)
        a_scale = tl.load(a_scales + step * M + rows, mask=rows < M, other=0.0)
        b_scale = tl.load(b_scales + cols // G * steps + step, mask=cols < N, other=0.0)
        total += tl.dot(a_tile, b_tile) * (a_scale[:, None] * b_scale[None, :])
    inside = (rows[:, None] < M) & (cols[None, :] < N)
    tl.store(out + rows[:, None] * N + cols[None, :], total.to(out.dtype.element_ty), mask=inside)


def triton_product(a, b, a_scales, b_scales, tile):
    """a_scales [K / 128, M], b_scales [N / 128, K / 128], both without gaps."""
    (M, K), N = a.shape, b.shape[0]
    out = torch.empty(M, N, dtype=torch.bfloat16, device=a.device)
    grid = (triton.cdiv(M, tile[0]), triton.cdiv(N, tile[1]))
    block_scaled_product[grid](a, b, out, a_scales, b_scales, M, N, K, tile[0], tile[1], GROUP, num_warps=tile[2],
                               num_stages=tile[3])
    return out


def quantise(x):
    """Codes and M-major scales of tiles of 1x128."""
    tiles = x.float().unflatten(-1, (-1, GROUP))
    scales = tiles.abs().amax(-1).clamp(min=1e-4) / 448
    return (tiles / scales[..., None]).flatten(-2).to(FP8), scales.t().contiguous()


def swiglu_quantise(x, weight):
    gate, up = x.float().chunk(2, dim=-1)
    return quantise((torch.nn.functional.silu(gate) * up * weight[:, None]).to(torch.bfloat16))


class Operands:
    """Random codes and scales, and the exact sums of some rows."""

    def __init__(self, M, N, K):
        self.a = (torch.randn(M, K, device="cuda") * 160).clamp(-448, 448).to(FP8)
        self.b = (torch.randn(N, K, device="cuda") * 160).clamp(-448, 448).to(FP8)
        self.a_scales = (torch.rand(K // GROUP, M, device="cuda") + 2) / 448
        self.b_scales = (torch.rand(triton.cdiv(N, GROUP), K // GROUP, device="cuda") + 2) / 448
        self.rows = torch.unique(torch.cat([torch.tensor([0, M - 1]), torch.randint(0, M, (6,))])).cuda()

    def want(self, scaled):
        a, b = self.a[self.rows].double(), self.b.double()
        if scaled:
            a *= self.a_scales[:, self.rows].t().double().repeat_interleave(GROUP, 1)
            b *= self.b_scales.double().repeat_interleave(GROUP, 0)[:len(b)].repeat_interleave(GROUP, 1)
        return a @ b.t()

    def check(self, out, scaled):
        want = self.want(scaled)
        error = ((out[self.rows].double() - want).norm() / want.norm()).item()
        if not error <= 2**-6:
            raise ValueError(f"wrong: the error's rms is {error:.3g} of the sums'")


class Bench:
    def __init__(self, rounds, out):
        self.rounds, self.out = rounds, out
        self.flush = torch.empty(512 << 20, dtype=torch.uint8, device="cuda")

    def seconds(self, call):
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        self.flush.fill_(0x5A)
        start.record()
        call()
        stop.record()
        stop.synchronize()
        return 1e-3 * start.elapsed_time(stop)

    def peer(self, name, call, check):
        try:
            check(call())
            for _ in range(3):
                self.seconds(call)
            times = statistics.quantiles([self.seconds(call) for _ in range(self.rounds)], n=10)
            return {"name": name, "seconds": {"median": times[4], "p10": times[0], "p90": times[8]}}
        except Exception as error:  # what torch and Triton throw where they cannot is of many types
            return {"name": name, "why_not": f"{error}".strip().splitlines()[0][:120] if f"{error}".strip() else type(error).__name__}

    def row(self, name, what, unit, work, peers):
        """peers: (name, call, check) each."""
        line = {"row": name, "what": what, "unit": unit, "work": work, "peers": [self.peer(*p) for p in peers]}
        for peer in line["peers"]:
            result = peer.get("why_not") or f"{work / peer['seconds']['median'] * 1e-12:.4g} {unit}"
            print(f"{name:<28} {peer['name']:<44} {result}", flush=True)
        if self.out:
            with open(self.out, "a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")


def torch_block_product(o):
    """torch takes M-major scales of a as [M, K / 128], and those of b with a stride that is a multiple of 4."""
    scales = torch.zeros(o.b_scales.shape[0], triton.cdiv(o.b_scales.shape[1], 4) * 4, device="cuda")
    scales[:, :o.b_scales.shape[1]] = o.b_scales
    of_b = scales[:, :o.b_scales.shape[1]].t()
    return torch._scaled_mm(o.a, o.b.t(), scale_a=o.a_scales.t(), scale_b=of_b, out_dtype=torch.bfloat16)


def products(bench, quick):
    one = torch.ones((), device="cuda")
    for M in (64, 128, 4096):
        for N, K in LAYERS[-1:] if quick else LAYERS:
            o = Operands(M, N, K)
            tile = (64, 128, 4, 4) if M <= 64 else (128, 128, 8, 3)
            bench.row(f"python gemm {M}x{N}x{K}", f"{M} x {N} x {K}", "TFLOP/s", 2 * M * N * K, [
                ("torch._scaled_mm 1x128 x 128x128", lambda: torch_block_product(o), lambda out: o.check(out, True)),
                ("torch._scaled_mm one scale", lambda: torch._scaled_mm(
                    o.a, o.b.t(), scale_a=one, scale_b=one, out_dtype=torch.bfloat16, use_fast_accum=True),
                 lambda out: o.check(out, False)),
                ("Triton 1x128 x 128x128", lambda: triton_product(o.a, o.b, o.a_scales, o.b_scales, tile),
                 lambda out: o.check(out, True))])


def check_quantised(want):
    def check(got):
        if not all(torch.equal(g.float(), w.float()) for g, w in zip(got, want)):
            part = sum((g.float() != w.float()).float().mean().item() for g, w in zip(got, want))
            if part > 1e-3:  # compiled code may fuse and divide in other ways
                raise ValueError(f"wrong: {part:.3g} of the codes and scales differ from eager torch's")
    return check


def quantisation(bench):
    x = torch.randn(4096, 7168, device="cuda", dtype=torch.bfloat16)
    bench.row("python quantise 1x128", "4096 x 7168", "TB/s", x.numel() * 3 + 4 * x.numel() // GROUP,
              [("torch.compile", lambda f=torch.compile(quantise): f(x), check_quantised(quantise(x)))])
    x = torch.randn(31104, 4096, device="cuda", dtype=torch.bfloat16)
    weight = torch.rand(len(x), device="cuda")
    work = x.numel() * 2.5 + 4 * x.numel() // 2 // GROUP + 4 * len(x)
    bench.row("python swiglu quantise", "31104 x 2 x 2048", "TB/s", work,
              [("torch.compile", lambda f=torch.compile(swiglu_quantise): f(x, weight),
                check_quantised(swiglu_quantise(x, weight)))])


def why_not():
    if not torch.cuda.is_available():
        return "torch sees no device"
    return "" if torch.cuda.get_device_capability() == (9, 0) else "the device is no Hopper"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer shapes")
    parser.add_argument("--rounds", type=int, default=20, help="times each call is measured")
    parser.add_argument("--out", help="a file to which lines of JSON are added")
    arguments = parser.parse_args()
    if arguments.rounds < 10:
        parser.error(f"--rounds is {arguments.rounds}; it must be at least 10")
    if reason := why_not():
        print(f"skipped: {reason}")
        return 77
    print(f"torch {torch.__version__}, triton {triton.__version__}")
    torch.manual_seed(1)
    bench = Bench(arguments.rounds, arguments.out)
    quantisation(bench)
    products(bench, arguments.quick)
    return 0


if __name__ == "__main__":
    sys.exit(main())
