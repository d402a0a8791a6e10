"""Write the table of published rewards into docs/rewards.md: python scripts/rewards_page.py"""

from __future__ import annotations

from pathlib import Path

from saccade.rewards.published import Published, all_published

PAGE = Path(__file__).parents[1] / "docs/rewards.md"
BEGIN = "<!-- made by scripts/rewards_page.py from the code; do not edit -->"
END = "<!-- end of the table -->"


def table() -> str:
    """One heading and table per system, in the order of their files."""
    systems: dict[str, list[Published]] = {}
    for reward in all_published():
        systems.setdefault(reward.system, []).append(reward)
    return "\n\n".join(_of_system(name, rewards) for name, rewards in systems.items())


def with_table(page: str) -> str:
    """The page with its table made anew."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


def _of_system(name: str, rewards: list[Published]) -> str:
    module = rewards[0].make.__module__.removeprefix("saccade.rewards.")
    head = f"### {name}\n\n`saccade.rewards.{module}`\n\n| reward | formula | source | gold (`sample.target`) | released code | what we changed, and why |\n|---|---|---|---|---|---|"
    return "\n".join([head, *(_row(reward) for reward in rewards)])


def _row(reward: Published) -> str:
    cells = (f"`{reward.name}`", reward.formula, reward.source, reward.target, reward.released or ("the same" if "C" in reward.source else "none released"), reward.changed or "nothing")
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
    print(f"{len(all_published())} rewards in {PAGE}")
