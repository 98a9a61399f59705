"""The zoo's page: what the goals of the zoo come to, and a row for each network."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any

from benchmarks.load import QUIET_CORES
from benchmarks.machine import command_line, describe, this_machine
from benchmarks.peers import OPENVINO_INT8, TORCH_COMPILE
from benchmarks.results import filled, json_text, markdown_table, write
from zoo.peers import AUTO, ONEDNN, ONNXRUNTIME_INT8

HERE = Path(__file__).parent
PAGE, RESULTS = HERE / "README.md", HERE / "results.json"
DISTRIBUTIONS = (
    "zeropoint", "torch", "torchvision", "timm", "transformers", "segmentation_models_pytorch",
    "onnx", "onnxruntime", "openvino", "nncf", "numpy",
)  # fmt: skip
LEAST_SHARE, ALLOWED_LOSS_DB, FAR_BEHIND = 0.95, 0.5, 0.8
MISSING = "-"

Found = dict[str, Any]
"""The result of one network, as `measure` writes it."""


def write_page(results: Sequence[Found], *, threads: int) -> None:
    """`README.md` between its markers, and `results.json` beside it."""
    machine = this_machine(command_line("zoo"), threads=threads, distributions=DISTRIBUTIONS)
    texts = {
        "machine": describe(machine),
        "headlines": "\n".join(f"- {line}" for line in headlines(results)),
        "integers": integers_table(results),
        "speed": speed_table(results),
        "islands": islands_table(results),
        "failures": failures_table(results),
        "pretrained": metrics_table(results),
    }
    write(PAGE, filled(PAGE.read_text(encoding="utf-8"), texts))
    write(RESULTS, json_text({"machine": vars(machine), "networks": list(results)}))


# --- what the goals come to ----------------------------------------------------------------------


def headlines(results: Sequence[Found]) -> list[str]:
    """One sentence for each goal."""
    ran = [found for found in results if has_run(found)]
    if not ran:
        return [f"None of {len(results)} networks ran."]
    shares = [found["coverage"]["share_of_macs"] for found in ran]
    floors = [found for found in ran if found["convolutional"]]
    low = [f["name"] for f in floors if f["coverage"]["share_of_macs"] < LEAST_SHARE]
    agree = [found for found in ran if found.get("verify", {}).get("passes")]
    lines = [
        f"{len(ran)} of {len(results)} networks are quantized and run as they are "
        f"({100 * len(ran) / len(results):.1f} %).",
        f"Share of multiply-accumulates in int8: median {100 * median(shares):.2f} %; "
        f"networks of convolutions under {100 * LEAST_SHARE:.0f} %: {listed(low)}.",
        f"oneDNN computes what the reference computes on {len(agree)} of {len(ran)}.",
        f"Time to quantize: median {median(f['quantize_seconds'] for f in ran):.1f} s, "
        f"longest {max(f['quantize_seconds'] for f in ran):.1f} s.",
    ]
    return lines + sqnr_lines(ran) + speed_lines(ran)


def sqnr_lines(ran: Sequence[Found]) -> list[str]:
    lines = []
    for peer in (OPENVINO_INT8.name, ONNXRUNTIME_INT8.name):
        gains = {
            found["name"]: found["sqnr_db"] - theirs
            for found in ran
            if found.get("sqnr_db") is not None
            and (theirs := row_of(found, peer).get("sqnr_db")) is not None
        }
        if gains:
            lost = [name for name, gain in gains.items() if gain < -ALLOWED_LOSS_DB]
            lines.append(
                f"SQNR against {peer}, {len(gains)} networks: {median(gains.values()):+.1f} dB in "
                f"the median; more than {ALLOWED_LOSS_DB} dB worse: {listed(lost)}."
            )
    return lines


def speed_lines(ran: Sequence[Found]) -> list[str]:
    """Of the engine that `auto` takes."""
    lines = []
    for against, field, least in (
        (TORCH_COMPILE.name, "speed_vs_float", 1.0),
        (OPENVINO_INT8.name, "speed_vs_openvino", FAR_BEHIND),
    ):
        speeds = {
            found["name"]: speed
            for found in ran
            if (speed := best_row(found).get(field)) is not None
        }
        if speeds:
            slower = [name for name, speed in speeds.items() if speed < least]
            lines.append(
                f"Speed against {against}, {len(speeds)} networks: geometric mean "
                f"{geometric_mean(speeds.values()):.2f}x, median {median(speeds.values()):.2f}x; "
                f"under {least:g}x: {listed(slower)}."
            )
    if any(found.get("kept") for found in ran):
        lines.append(
            "Times are those of an earlier run: what was measured anew (`--keep`) computes with "
            "other numbers, and with the same kernels."
        )
    loads = [found["cores_used_by_others"] for found in ran if "cores_used_by_others" in found]
    if loads and max(loads) > QUIET_CORES:
        lines.append(
            f"Other programs kept up to {max(loads):.1f} cores busy ({median(loads):.1f} in the "
            "median): read the ratios, not the milliseconds."
        )
    return lines


def listed(names: Sequence[str]) -> str:
    return f"{len(names)} ({', '.join(names)})" if names else "none"


def has_run(found: Found) -> bool:
    return (
        "coverage" in found and not {"build", "quantize", "run"} & found.get("failures", {}).keys()
    )


def row_of(found: Found, engine: str) -> Found:
    """The engine's row, an empty one if it has none."""
    return next((row for row in found.get("engines", ()) if row["engine"] == engine), {})


def best_row(found: Found) -> Found:
    """The row of the engine that a user gets from engine="auto"."""
    auto = row_of(found, AUTO)
    return auto if auto.get("milliseconds") is not None else row_of(found, ONEDNN)


# --- the tables ----------------------------------------------------------------------------------


def integers_table(results: Sequence[Found]) -> str:
    header = (
        "network", "source", "weights", "input", "M MAC", "MACs in int8", "layers in int8",
        "islands", "SQNR dB", "NNCF", "ONNX Runtime", "differing integers", "to quantize", "peak",
    )  # fmt: skip
    return markdown_table(header, (integers_row(found) for found in results if has_run(found)))


def integers_row(found: Found) -> list[str]:
    coverage, verified = found["coverage"], found.get("verify", {})
    return [
        found["name"],
        found["source"],
        found["weights"],
        "x".join(map(str, found["shape"])),
        f"{found['macs'] / 1e6:.0f}",
        f"{100 * coverage['share_of_macs']:.2f} %",
        f"{coverage['integer_layers']} of {coverage['layers']}",
        str(sum(island["count"] for island in coverage["islands"])),
        decibel(found.get("sqnr_db"), ran=True),
        peer_decibel(row_of(found, OPENVINO_INT8.name)),
        peer_decibel(row_of(found, ONNXRUNTIME_INT8.name)),
        differing(verified),
        f"{found['quantize_seconds']:.1f} s",
        f"{found['peak_mebibytes']} MiB",
    ]


def decibel(value: float | None, *, ran: bool) -> str:
    return (MISSING if not ran else "exact") if value is None else f"{value:.1f}"


def peer_decibel(row: Found) -> str:
    if row.get("failure"):
        return "fails"
    return decibel(row.get("sqnr_db"), ran=bool(row))


def differing(verified: Found) -> str:
    if not verified or verified["failure"]:
        return verified.get("failure", MISSING)[:60] or MISSING
    text = f"{verified['differing']} of {verified['integers']}"
    return text if verified["passes"] else f"{text}, FAILS at {verified['worst']}"


def speed_table(results: Sequence[Found]) -> str:
    engines = (TORCH_COMPILE.name, ONEDNN, AUTO, OPENVINO_INT8.name, ONNXRUNTIME_INT8.name)
    header = (
        "ms", "batch", "torch.compile float", "zeropoint oneDNN", "zeropoint auto",
        "OpenVINO int8", "ONNX Runtime int8", "vs float", "vs OpenVINO",
    )  # fmt: skip
    lines = []
    for found in results:
        if not found.get("engines"):
            continue
        best = best_row(found)
        times = [milliseconds(row_of(found, engine)) for engine in engines]
        if times[2] == MISSING and "auto" in found:
            times[2] = found["auto"]["engine"]
        ratios = [factor(best.get(f)) for f in ("speed_vs_float", "speed_vs_openvino")]
        lines.append([found["name"], str(found["batch"]), *times, *ratios])
    return markdown_table(header, lines)


def milliseconds(row: Found) -> str:
    if row.get("failure"):
        return "fails"
    value = row.get("milliseconds")
    return MISSING if value is None else f"{value:.2f}" if value < 100 else f"{value:.0f}"


def factor(value: float | None) -> str:
    return MISSING if value is None else f"{value:.2f}x"


def islands_table(results: Sequence[Found]) -> str:
    """Every operator that stayed float anywhere, why, how often, and in which networks."""
    counts: Counter[tuple[str, str]] = Counter()
    networks: dict[tuple[str, str], list[str]] = {}
    for found in results:
        for island in found.get("coverage", {}).get("islands", ()):
            kind = (island["operator"], island["reason"])
            counts[kind] += island["count"]
            networks.setdefault(kind, []).append(found["name"])
    lines = (
        [operator, reason, str(count), some(networks[operator, reason])]
        for (operator, reason), count in counts.most_common()
    )
    return markdown_table(("operator", "why it stayed float", "times", "in"), lines)


def some(names: Sequence[str], most: int = 4) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def failures_table(results: Sequence[Found]) -> str:
    """What failed where: our stages, and every engine."""
    return markdown_table(("network", "what", "error"), list(failures(results)))


def failures(results: Sequence[Found]) -> Iterable[list[str]]:
    for found in results:
        for stage, error in found.get("failures", {}).items():
            yield [found["name"], stage, error]
        for row in found.get("engines", ()):
            if row["failure"]:
                yield [found["name"], row["engine"], row["failure"]]


def metrics_table(results: Sequence[Found]) -> str:
    """What the networks with trained weights are worth, in float and in int8."""
    lines = (
        [found["name"], what, f"{value:g}"]
        for found in results
        for what, value in found.get("metric", {}).items()
    )
    return markdown_table(("network", "on real inputs", "value"), lines)
