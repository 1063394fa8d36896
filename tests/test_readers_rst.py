"""reStructuredText as projects write it for Sphinx: its roles and directives say what they say there."""

import pytest

from data.readers import files
from data.readers.page import BadDocument
from data.readers.rst import read_rst

TEXT = """
.. _brakes:

******
Brakes
******

.. note::

    See :ref:`the parts <parts>`, :class:`~shop.parts.Pad`, :option:`--wear` and ``pads``.

.. toctree::
   :maxdepth: 2

   parts

Bleed
=====

.. versionadded:: 2.1
   Works for :setting:`HYDRAULIC`.

.. code-block:: console
   :emphasize-lines: 1

   $ bleed --all

.. list-table:: Prices
   :header-rows: 1

   * - part
     - euros
   * - pad
     - 18

.. option:: --wear <mm>, -w

   How far a pad may wear.

.. py:function:: bleed(side, *, hose=None)
   :module: shop

   Bleeds one side.

   .. tip:: Wear gloves.

.. tab:: Disc

   Remove the disc.

.. seealso:: :doc:`parts`

.. deprecated:: 3.0

#. Open :menuselection:`Shop --> Brakes`
#. Press |key|

.. |key| replace:: Enter

.. include:: /etc/hostname
.. raw:: html

   <p>raw</p>
"""


def test_what_projects_write_for_sphinx_keeps_its_sense():
    reading = read_rst(TEXT, name="brakes")
    assert reading.title == "Brakes"
    assert [(" / ".join(block.headings), block.text) for block in reading.blocks] == [
        ("Brakes", "Note: See the parts, `Pad`, `--wear` and `pads`."),
        ("Brakes / Bleed", "New in version 2.1: Works for `HYDRAULIC`."),
        ("Brakes / Bleed", "```console\n$ bleed --all\n```"),
        ("Brakes / Bleed", "Prices"),
        ("Brakes / Bleed", "| part | euros |\n| --- | --- |\n| pad | 18 |"),
        ("Brakes / Bleed", "--wear <mm>, -w: How far a pad may wear."),
        ("Brakes / Bleed", "bleed(side, *, hose=None): Bleeds one side."),
        ("Brakes / Bleed", "Tip: Wear gloves."),
        ("Brakes / Bleed", "Disc: Remove the disc."),
        ("Brakes / Bleed", "See also: parts"),
        ("Brakes / Bleed", "Deprecated since version 3.0:"),
        ("Brakes / Bleed", "1. Open Shop → Brakes"),
        ("Brakes / Bleed", "2. Press Enter"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "heading"),
    [
        ("a.rst", "Pads\n====\n\nText.", "Pads"),
        ("a.txt", ".. _p:\n\nPads\n====\n\nText.", "Pads"),
        ("a.txt", "Text.", ""),
    ],
)
def test_its_files_are_known_by_their_name_or_by_its_marks(tmp_path, name, text, heading):
    reading = files.read(tmp_path / name, text.encode())
    assert ["".join(one.headings) for one in reading.blocks] == [heading]


def test_broken_markup_is_read_as_far_as_it_goes():
    reading = read_rst(
        "A\n=\n\n.. figure::\n\n``open\n\n* a\nb\n\n+--+\n| x\n\n:unknown:`role`\n\nText |nothing|.", name="a"
    )
    assert "Text |nothing|." in reading.blocks[-1].text


def test_what_is_nested_too_deep_is_one_sentence():
    with pytest.raises(BadDocument, match="stand within each other too deep"):
        read_rst("\n".join(" " * depth + "* a\n" for depth in range(0, 2000, 2)), name="a")
