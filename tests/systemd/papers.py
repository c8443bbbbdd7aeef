"""papers.py - the commands that INSTALL and doc/ tell people to type."""
import re
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


def blocks_of(text):
    """Each block of commands, one each."""
    blocks = re.findall(r"(?:^    .*\n)+", text, re.M)
    return [[re.sub(r"\s+# .*", "", line).strip() for line in re.sub(r"\\\n\s*", "", block).splitlines()] for block in blocks]


def commands_of(title):
    """Of one section of INSTALL, its first block."""
    text = (CHECKOUT / "INSTALL").read_text()
    return blocks_of(re.search(rf"^{re.escape(title)}\n-+\n(.*?)(?=^\S[^\n]*\n-+\n|\Z)", text, re.M | re.S).group(1))[0]


def blocks_of_page(page, title):
    """Of one section of a page of doc/."""
    text = (CHECKOUT / "doc" / page).read_text()
    return blocks_of(re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.M | re.S).group(1))
