"""The benchmark's tables as text."""

PARTS = ("sampling", "learning", "other", "whole")


def comparison(setting, lines, operations, *, gflops):
    """All sides of one setting: seconds, ratio to ours, and the share of the ideal (counted operations at full speed)."""
    ideal = {part: 2 * getattr(operations, part) / gflops / 1e9 for part in ("sampling", "learning", "whole")}
    ours = lines["Saccade"]
    peers = {name: line for name, line in lines.items() if line["side"] == "trl"}
    head = [
        f"\nSetting {setting.name}: {setting.prompts} prompts x {setting.siblings} siblings, "
        f"{setting.side} x {setting.side} picture, {setting.prompt_tokens} prompt tokens, {setting.answer_tokens} answer tokens",
        f"{'':10}{'ideal':>9}{'Saccade':>10}{'of ideal':>10}"
        + "".join(f"{name:>26}{'of ideal':>10}{'ratio':>8}" for name in peers),
    ]
    rows = []
    for part in PARTS:
        cells = f"{part:10}{_seconds(ideal.get(part)):>9}{_seconds(ours[part]):>10}{_share(ideal.get(part), ours[part]):>10}"
        for line in peers.values():
            ratio = line[part] / ours[part]
            cells += f"{_seconds(line[part]):>26}{_share(ideal.get(part), line[part]):>10}{ratio:>7.1f}x"
        rows.append(cells)
    for label, value in (("peak MB", peak), ("step's MB", rise)):
        cells = f"{label:10}{'':9}{value(ours):>10.0f}{'':10}"
        cells += "".join(f"{value(line):>26.0f}{'':10}{value(line) / value(ours):>7.1f}x" for line in peers.values())
        rows.append(cells)
    return "\n".join(head + rows)


def peak(line):
    """The process's peak memory, imports and weights included, in MB."""
    return line["peak_mb"]


def rise(line):
    """What the steps added to the memory that the process held before the first one, in MB."""
    return line["peak_mb"] - line["before_mb"]


def vllm_line(setting, *, ours, vllm):
    """Our sampler beside vLLM's; ours pays for the processor, as vLLM does."""
    own = setting.sampled_tokens / (ours["sampling"] + ours["other"])
    return (
        f"\nSampling of setting {setting.name}: Saccade {own:.0f} tokens/s, vLLM {vllm['tokens_per_second']:.0f} tokens/s, "
        f"ratio {own / vllm['tokens_per_second']:.2f}"
    )


def growth(option, rows, *, gflops):
    """Our step's seconds as one number of setting A grows, beside the ideal."""
    head = f"\nSaccade, setting A with other {option.replace('_', ' ')}:\n{option:>14}{'sampling':>10}{'learning':>10}{'whole':>10}{'of ideal':>10}{'peak MB':>10}"
    lines = [
        f"{value:>14}{_seconds(line['sampling']):>10}{_seconds(line['learning']):>10}{_seconds(line['whole']):>10}"
        f"{_share(2 * counted.whole / gflops / 1e9, line['whole']):>10}{line['peak_mb']:>10.0f}"
        for value, line, counted in rows
    ]
    return "\n".join([head, *lines])


def _seconds(value):
    return "" if value is None else f"{value:.3f} s"


def _share(ideal, value):
    return "" if ideal is None else f"{ideal / value:.0%}"
