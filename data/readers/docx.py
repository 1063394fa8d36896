"""DOCX → blocks: mammoth turns its styles into HTML, which is then read as such."""

import io
import zipfile

from data.readers.html import read_html
from data.readers.page import BadDocument, Reading

UNPACKED_LIMIT = 50_000_000
STYLES = """
p[style-name='Title'] => h1:fresh
p[style-name='Subtitle'] => p:fresh
p[style-name='Code'] => pre:separator('\\n')
p[style-name='Source Code'] => pre:separator('\\n')
p[style-name='HTML Preformatted'] => pre:separator('\\n')
p[style-name='macro'] => pre:separator('\\n')
r[style-name='HTML Code'] => code
"""


def read_docx(content: bytes, *, name: str) -> Reading:
    """A document's text. Its title is its first title or heading of level one, else the name. Raises BadDocument."""
    # Here, since only an import needs it: who searches does without.
    import mammoth

    if content.startswith(b"\xd0\xcf\x11\xe0"):
        raise BadDocument("it is protected by a password, or a .doc of an old kind")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            # A part that unpacks to more than its entry says is refused by zipfile.
            unpacked = sum(part.file_size for part in packed.infolist() if not part.filename.startswith("word/media/"))
        if unpacked > UNPACKED_LIMIT:
            raise BadDocument(f"it unpacks to {unpacked:,} bytes, and at most {UNPACKED_LIMIT:,} are read")
        made = mammoth.convert_to_html(
            io.BytesIO(content),
            style_map=STYLES,
            convert_image=mammoth.images.img_element(lambda image: {}),
            include_embedded_style_map=False,
        )
    except BadDocument:
        raise
    # What a parser meets in a damaged file is of any kind.
    except Exception as error:
        raise BadDocument(f"it is no DOCX, or damaged ({type(error).__name__})") from error
    return read_html(made.value, name=name)
