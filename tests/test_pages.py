"""Pages in a real browser: contents, sorting, opening of figures, and no overflow, light and dark."""

import re
import shutil
import subprocess

import pytest

from lenssim.pages import figure, heading, html_page, html_table

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4"
    "2mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
ROWS = [
    {"run": "vit", "AUC": "0.71 [0.6, 0.8]", "images": "9,000"},
    {"run": "cnn", "AUC": "0.99 [0.9, 1.0]", "images": "10,000"},
    {"run": "<b>", "AUC": "0.5 [0.4, 0.6]", "images": "80"},
]


def page() -> str:
    sections = [heading(f"Part {number}") for number in range(3)]
    wide = html_table([{f"column {k}": "0.123456789" for k in range(30)}])
    return html_page(
        "A & B", [*sections, html_table(ROWS, best=1), wide, figure(PIXEL, "a pixel")]
    )


def test_texts_are_escaped_and_headings_are_linked():
    text = page()
    assert "<h1>A &amp; B</h1>" in text
    assert "&lt;b&gt;" in text
    assert "<b>" not in text
    assert re.findall("href='#([^']*)'", text) == ["part-0", "part-1", "part-2"]
    assert all(f"id='part-{number}'" in text for number in range(3))


def test_columns_of_numbers_stand_at_the_right_and_the_best_row_is_marked():
    table = html_table(ROWS, best=1)
    assert table.count("class=number") == 2 * (1 + len(ROWS))
    assert "<tr class=best><td>cnn</td>" in table


@pytest.mark.thorough
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
@pytest.mark.parametrize("width", [1400, 390])
def test_a_browser_sorts_tables_opens_figures_and_shows_no_overflow(tmp_path, width):
    script = """<script>
    const heads = document.querySelectorAll("table th button");
    heads[1].click();
    const first = () => [...document.querySelector("table").rows].slice(1).map((r) => r.cells[0].textContent);
    const upwards = first().join();
    heads[2].click(); heads[2].click();
    const images = first().join();
    document.querySelector("figure img").click();
    const root = document.documentElement;
    document.title = [upwards, images, document.querySelector("dialog").open,
      root.scrollWidth <= root.clientWidth].join("|");
    </script>"""
    file = tmp_path / "page.html"
    file.write_text(page().replace("</body>", f"{script}</body>"))
    done = subprocess.run(
        [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            f"--window-size={width},900",
            "--dump-dom",
            str(file),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    (title,) = re.findall("<title>(.*?)</title>", done.stdout)
    assert title == "&lt;b&gt;,vit,cnn|cnn,vit,&lt;b&gt;|true|true"
