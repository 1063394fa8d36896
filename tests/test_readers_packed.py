"""PDF and DOCX keep their headings, tables, lists and code; a damaged file of any kind says why in one sentence."""

import io
import zipfile
from contextlib import suppress
from pathlib import Path

import docx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Paragraph, Preformatted, SimpleDocTemplate, Spacer, Table
from test_readers import PAGE, TABLE, said

from data.readers.docx import read_docx
from data.readers.files import read
from data.readers.page import BadDocument
from data.readers.pdf import read_pdf


def made_docx() -> docx.document.Document:
    document = docx.Document()
    document.add_heading("Brakes", 0)
    document.add_paragraph("Wipe the disc.")
    document.add_heading("Wear", 1)
    document.add_paragraph("One", style="List Number")
    document.add_paragraph("Two", style="List Number")
    document.add_paragraph("dot", style="List Bullet")
    document.styles.add_style("Code", 1)
    document.add_paragraph("reset --hard", style="Code")
    document.add_paragraph("sync", style="Code")
    table = document.add_table(rows=0, cols=2)
    for row in (("part", "euros"), ("pad", "18"), ("disc", "40")):
        for cell, text in zip(table.add_row().cells, row, strict=True):
            cell.text = text
    return document


def packed(document: docx.document.Document) -> bytes:
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def test_docx_keeps_its_structure():
    reading = read_docx(packed(made_docx()), name="brakes")
    assert reading.title == "Brakes"
    assert said(reading) == [
        ("Brakes", "Wipe the disc."),
        ("Wear", "1. One"),
        ("Wear", "2. Two"),
        ("Wear", "- dot"),
        ("Wear", "```\nreset --hard\nsync\n```"),
        ("Wear", TABLE),
    ]


def test_a_docx_that_unpacks_to_too_much_or_is_none_is_refused():
    bomb = io.BytesIO(packed(made_docx()))
    with zipfile.ZipFile(bomb, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/large.xml", b"\0" * 60_000_000)
    with pytest.raises(BadDocument, match="unpacks to 60,"):
        read_docx(bomb.getvalue(), name="bomb")
    with pytest.raises(BadDocument, match="no DOCX"):
        read_docx(b"PK no zip", name="n")
    with pytest.raises(BadDocument, match="password"):
        read_docx(b"\xd0\xcf\x11\xe0" + bytes(600), name="n")


def made_pdf(**options) -> bytes:
    out = io.BytesIO()
    style = getSampleStyleSheet()
    ruled = Table(
        [["part", "euros"], ["pad", "18"], ["disc", "40"]], style=[("GRID", (0, 0), (-1, -1), 1, colors.black)]
    )
    long = (
        "A brake squeals when the disc is dirty, so wipe the disc with alcohol and let it dry before riding again. " * 3
    )
    story = [
        Paragraph("Brakes", style["Title"]),
        Paragraph(long, style["Normal"]),
        Paragraph("Wear", style["Heading2"]),
        Paragraph("Pads last a year.", style["Normal"]),
        Paragraph("• one", style["Normal"]),
        Paragraph("• two", style["Normal"]),
        Paragraph("Reset", style["Heading2"]),
        Preformatted("reset:\n  hard", style["Code"]),
        Spacer(1, 20),
        ruled,
        Spacer(1, 20),
        Paragraph("After the table.", style["Normal"]),
    ]
    SimpleDocTemplate(out, pagesize=A4, **options).build(story)
    return out.getvalue()


def test_pdf_keeps_headings_lists_code_and_ruled_tables():
    reading = read_pdf(made_pdf(), name="brakes")
    assert reading.title == "Brakes"
    paragraph, *rest = said(reading)
    assert paragraph[0] == "Brakes" and paragraph[1].count("before riding again.") == 3 and "\n" not in paragraph[1]
    assert rest == [
        ("Brakes / Wear", "Pads last a year."),
        ("Brakes / Wear", "- one"),
        ("Brakes / Wear", "- two"),
        ("Brakes / Reset", "```\nreset:\n  hard\n```"),
        ("Brakes / Reset", TABLE),
        ("Brakes / Reset", "After the table."),
    ]


def drawn(pages: int, *, picture: bool = False) -> bytes:
    """Pages with a running head, a number and two lines, or with nothing but a picture."""
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A4)
    for number in range(1, pages + 1):
        if picture:
            canvas.drawImage(ImageReader(Image.new("RGB", (40, 40))), 100, 400)
        else:
            canvas.drawString(72, 815, "Larkspur manual")
            canvas.drawString(72, 400, f"Only page {number} says this.")
            canvas.drawString(300, 20, f"Page {number} of {pages}")
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def test_what_stands_at_the_edge_of_every_page_of_a_pdf_is_left_out():
    texts = " ".join(text for _, text in said(read_pdf(drawn(4), name="manual")))
    assert "Only page 3 says this." in texts and "Larkspur" not in texts and "of 4" not in texts


def test_a_pdf_that_is_locked_has_only_pictures_or_is_damaged_says_so():
    with pytest.raises(BadDocument, match="protected by a password"):
        read_pdf(made_pdf(encrypt=StandardEncryption("secret")), name="n")
    with pytest.raises(BadDocument, match="only pictures and no text"):
        read_pdf(drawn(2, picture=True), name="n")
    with pytest.raises(BadDocument, match="no PDF, or damaged"):
        read_pdf(b"%PDF-1.7 nonsense", name="n")


WHOLE_PDF, WHOLE_DOCX = made_pdf(), packed(made_docx())


@settings(max_examples=60, deadline=None)
@given(
    st.binary(max_size=300), st.integers(0, 3000), st.sampled_from([".pdf", ".docx", ".md", ".html", ".csv", ".jsonl"])
)
def test_a_damaged_file_of_any_kind_is_refused_or_read_and_never_a_crash(noise, place, suffix):
    whole = {".pdf": WHOLE_PDF, ".docx": WHOLE_DOCX}.get(suffix, PAGE.encode())
    with suppress(BadDocument):
        read(Path(f"n{suffix}"), whole[:place] + noise + whole[place + len(noise) :])
